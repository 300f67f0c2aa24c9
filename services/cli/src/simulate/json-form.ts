/** Our own JSON: `headroom agents list -o json` tells the fleet, `headroom plan get -o json` the needs of the tasks of a plan. */
import { jsonToMessageBytes, needsFromWire, wire } from "@headroom/contracts";
import { type CardFacts, type MachineFacts, type Needs } from "@headroom/scheduling";
import { CliError } from "../errors/cli-error.ts";

const MIB_PER_GIB = 1_024;
const MILLI = 1_000;

/** The machines, as if nothing were running: what they offer, else what they have. */
export function agentsOfJson(path: string, text: string): readonly MachineFacts[] {
  const json = parse(path, text);
  const answer = Array.isArray(json) ? { agents: json } : json;
  const bytes = encode(path, answer, "headroom.registry.v1.ListAgentsResponse");
  return wire.ListAgentsResponse.decode(bytes).agents.flatMap(({ capacity }) =>
    capacity === undefined ? [] : [machineFacts(capacity)],
  );
}

/** The needs of the tasks of a plan: of `{"plan": {"tasks": [...]}}`, of `{"tasks": [...]}`, or of the list alone; each with its `needs`. */
export function needsOfJson(path: string, text: string): readonly Needs[] {
  const json = parse(path, text);
  const isAnswer = typeof json === "object" && json !== null && "plan" in json;
  const plan = Array.isArray(json) ? { tasks: json } : json;
  const bytes = encode(path, isAnswer ? json : { plan }, "headroom.orchestrator.v1.GetPlanResponse");
  return (wire.GetPlanResponse.decode(bytes).plan?.tasks ?? []).map(({ needs }) => needsFromWire(needs));
}

function encode(path: string, json: unknown, typeName: string): Uint8Array {
  const read = jsonToMessageBytes(typeName, json);
  if (read.kind === "ok") return read.value;
  throw new CliError({
    message: `${path} is not what \`headroom\` prints as JSON`,
    reason: "INVALID_TRACE",
    details: read.violations.slice(0, 10).map(({ field, description }) => `${field}: ${description}`),
    wayOut: "which forms are read: headroom simulate --help",
  });
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError({ message: `${path} is not JSON: ${String(error)}`, reason: "INVALID_TRACE", cause: error });
  }
}

function machineFacts(capacity: wire.AgentCapacity): MachineFacts {
  const { offered } = capacity;
  const cpuMillicores = Math.floor(least(capacity.cpuCoresPhysical, offered?.cpuCores) * MILLI);
  const memoryMib = Math.floor(least(capacity.memoryTotalGb, offered?.memoryGb) * MIB_PER_GIB);
  return {
    cpuTotalMillicores: cpuMillicores,
    memoryTotalMib: memoryMib,
    cpuMillicores,
    memoryMib,
    cards: capacity.gpus.map(cardFacts),
  };
}

function cardFacts(card: wire.GpuCapacity): CardFacts {
  const totalMib = Math.floor(card.vramTotalGb * MIB_PER_GIB);
  return { model: card.model, totalMib, freeMib: totalMib, sharedMemory: card.sharedMemory, canBeWhole: true };
}

function least(total: number, offered: number | undefined): number {
  return offered === undefined ? total : Math.min(total, offered);
}
