import { msFromDuration, wire } from "@headroom/contracts";
import type { FieldViolation } from "@headroom/rpc";
import { need, type CommandContext, type Run } from "../context.ts";
import { fieldLine } from "../errors/cli-error.ts";
import { exitCodes } from "../exit-codes.ts";
import { agentIdOf } from "../ids.ts";
import { pairsOf } from "../options.ts";
import type { Colour } from "../output/colour.ts";
import { count, instant, shortId, span } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import type { Cell } from "../output/table.ts";
import { timeOf, word } from "../output/words.ts";
import { needsText } from "./task.ts";
import { printVerdicts } from "./verdicts.ts";

export interface ExplainOptions {
  readonly cpuCores?: number;
  readonly memoryGb?: number;
  readonly gpuCount?: number;
  readonly gpuVramGb?: number;
  readonly gpuExclusive?: boolean;
  readonly gpuModel?: readonly string[];
  readonly label?: readonly string[];
  readonly pool?: string;
  readonly agent?: string;
  readonly limit: number;
}

/** What `--limit` goes up to: the registry lists no more. */
export const mostExplained = 1_000;

/** `headroom capacity explain`: is there room for such needs, and when. Ends with 2 where there is none now. As JSON: ExplainCapacityResponse. */
export function capacityExplain(options: ExplainOptions): Run {
  return async (context) => {
    const needs = await needsOf(context, options);
    const answer = need(await context.client().capacity.explain(needs, { maxAgents: options.limit }), optionLine);
    if (context.isJson) context.printJson("registry", "ExplainCapacityResponse", answer);
    else printExplanation(context, needs, answer);
    sayUnlisted(context, answer);
    return answer.explanation?.verdict === FLEET_VERDICT_FITS ? exitCodes.done : exitCodes.waiting;
  };
}

/** What was not said is left out: the registry knows the defaults, as it does of a task's needs. */
async function needsOf(context: CommandContext, options: ExplainOptions): Promise<wire.ResourceNeeds> {
  const { cpuCores, memoryGb, gpuCount, gpuVramGb, gpuExclusive, pool = "", agent } = options;
  return wire.ResourceNeeds.fromPartial({
    ...{ cpuCores, memoryGb, gpuCount, gpuVramGb, gpuExclusive, pool },
    gpuModels: [...(options.gpuModel ?? [])],
    labels: pairsOf(options.label),
    agentId: agent === undefined ? "" : await agentIdOf(context, agent),
  });
}

/** Options whose names are not the fields'. */
const optionOfField: Readonly<Record<string, string>> = {
  gpu_models: "gpu-model",
  labels: "label",
  agent_id: "agent",
};

/** In the words of this command; the service's own are about the fields of the request. */
function optionLine(violation: FieldViolation): string {
  const field = /^needs\.(\w+)/.exec(violation.field)?.[1];
  if (field === undefined) return fieldLine(violation);
  return `--${optionOfField[field] ?? field.replaceAll("_", "-")}: ${violation.description}`;
}

const { FLEET_VERDICT_FITS, FLEET_VERDICT_NOT_NOW, FLEET_VERDICT_NEVER } = wire.FleetVerdict;

function printExplanation(
  context: CommandContext,
  needs: wire.ResourceNeeds,
  answer: wire.ExplainCapacityResponse,
): void {
  const { sentence, verdict, agents } = answer.explanation ?? wire.CapacityExplanation.create();
  context.io.stdout.write(`${printable(sentence)}\n`);
  context.printFacts([
    ["needs", needsText(needs)],
    ["verdict", { text: word("FleetVerdict", verdict).replaceAll("_", " "), colour: colourOf(verdict) }],
    ...(verdict === FLEET_VERDICT_NOT_NOW ? [["expected", expectedRoom(answer)] as const] : []),
  ]);
  printVerdicts(context, agents);
}

function colourOf(verdict: wire.FleetVerdict): Colour {
  if (verdict === FLEET_VERDICT_FITS) return "green";
  return verdict === FLEET_VERDICT_NEVER ? "red" : "yellow";
}

/** By the time that is left, which is right where this machine's clock is not the registry's. */
function expectedRoom(answer: wire.ExplainCapacityResponse): Cell {
  const leftMs = msFromDuration(answer.expectedAvailableIn);
  if (leftMs === null) return "not known";
  const when = leftMs === 0 ? "at any moment" : `in ${span(leftMs)}, at ${instant(timeOf(answer.expectedAvailableAt))}`;
  return `room ${when}${whereText(answer)}`;
}

function whereText({ expectedAgentId, explanation }: wire.ExplainCapacityResponse): string {
  if (expectedAgentId === "") return "";
  const hostname = explanation?.agents.find(({ agentId }) => agentId === expectedAgentId)?.hostname ?? "";
  return hostname === "" ? `, on ${shortId(expectedAgentId)}` : `, on ${hostname} (${shortId(expectedAgentId)})`;
}

/** Beside a table and beside JSON, as lists do. */
function sayUnlisted(context: CommandContext, { explanation }: wire.ExplainCapacityResponse): void {
  const unlisted = (explanation?.agentsJudged ?? 0) - (explanation?.agents.length ?? 0);
  if (unlisted > 0) context.say(`${count(unlisted, "more agent")} judged; --limit lists up to ${mostExplained}`);
}
