/**
 * Our own JSON. The fleet: `headroom agents list -o json`. The tasks: what a plan holds (`plan get`), what waits (`queue list`), or what the
 * registry has learned of all that came (`placement inspect`).
 */
import { agentTypeWire, jsonToMessageBytes, needsFromWire, wire } from "@headroom/contracts";
import { type AgentWho, type CardFacts, type MachineFacts, type Needs } from "@headroom/scheduling";
import { CliError } from "../errors/cli-error.ts";

const MIB_PER_GIB = 1_024;
const MILLI = 1_000;
/** So many tasks stand for all that was learned: a kind that is one of 1,000 is still there once. */
const TASKS_OF_A_MIX = 1_000;

/** A machine, and who it is: null where the file does not say. */
export interface TraceMachine {
  readonly facts: MachineFacts;
  readonly who: AgentWho | null;
}

/** The machines, as if nothing were running: what they offer, else what they have. Those that are given no work are left out. */
export function agentsOfJson(path: string, text: string): readonly TraceMachine[] {
  const json = parse(path, text);
  const answer = Array.isArray(json) ? { agents: json } : json;
  const bytes = encode(path, answer, "headroom.registry.v1.ListAgentsResponse");
  return wire.ListAgentsResponse.decode(bytes).agents.flatMap(({ capacity, ...agent }) => {
    const agentType = agentTypeWire.fromWire(agent.agentType, "agent_type");
    // Older files do not say the type: they list desktops.
    const type = agentType.kind === "ok" ? agentType.value : "desktop";
    if (capacity === undefined || type !== "desktop") return [];
    const { agentId, poolName, labels } = agent;
    return [{ facts: machineFacts(capacity), who: { agentId, agentType: type, poolName, labels } }];
  });
}

/**
 * The needs of tasks: of `{"plan": {"tasks": [...]}}`, of `{"tasks": [...]}`, of a list of such answers or of tasks, each with its `needs`;
 * or of `{"shapes": [...]}`, each as often as it came.
 */
export function needsOfJson(path: string, text: string): readonly Needs[] {
  const json = parse(path, text);
  const rows = rowsOf(path, json, "");
  if (rows === null) {
    throw invalid(path, ["it holds no tasks: plan, tasks or shapes"]);
  }
  return rows.flatMap(({ value, at, times }) => {
    const bytes = encode(path, value, "headroom.common.v1.ResourceNeeds", at);
    const needs = needsFromWire(wire.ResourceNeeds.decode(bytes));
    return Array.from({ length: times }, () => needs);
  });
}

interface Row {
  readonly value: unknown;
  /** Where it stands, for what is said of it. */
  readonly at: string;
  readonly times: number;
}

function rowsOf(path: string, json: unknown, at: string): readonly Row[] | null {
  if (Array.isArray(json)) {
    return json.flatMap(
      (item: unknown, index) => rowsOf(path, item, `${at}[${index}]`) ?? [taskRow(item, `${at}[${index}]`)],
    );
  }
  if (!isRecord(json)) return null;
  const { plan, tasks, shapes } = json;
  if (Array.isArray(shapes))
    return shapes.map((shape: unknown, index) => shapeRow(path, shape, `${at}shapes[${index}]`));
  if (isRecord(plan)) return rowsOf(path, plan, `${at}plan.`);
  if (!Array.isArray(tasks)) return null;
  return tasks.map((task: unknown, index) => taskRow(task, `${at}tasks[${index}]`));
}

function taskRow(task: unknown, at: string): Row {
  return { value: isRecord(task) ? (task["needs"] ?? {}) : task, at: `${at}.needs`, times: 1 };
}

function shapeRow(path: string, shape: unknown, at: string): Row {
  if (!isRecord(shape)) return { value: shape, at, times: 1 };
  const { share, ...needs } = shape;
  if (typeof share === "number" && share > 1) throw invalid(path, [`${at}.share: ${share} is more than 1`]);
  const times = typeof share === "number" ? Math.max(1, Math.round(share * TASKS_OF_A_MIX)) : 1;
  // Of a task without cards nothing is said of them.
  const { gpu_count: cards } = needs;
  const value = cards === 0 ? { cpu_cores: needs["cpu_cores"] } : needs;
  return { value, at, times };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function encode(path: string, json: unknown, typeName: string, at = ""): Uint8Array {
  const read = jsonToMessageBytes(typeName, json);
  if (read.kind === "ok") return read.value;
  const prefix = at === "" ? "" : `${at}.`;
  throw invalid(
    path,
    read.violations.slice(0, 10).map(({ field, description }) => `${prefix}${field}: ${description}`),
  );
}

function invalid(path: string, details: readonly string[]): CliError {
  return new CliError({
    message: `${path} is not what \`headroom\` prints as JSON`,
    reason: "INVALID_TRACE",
    details,
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
