import { type wire } from "@headroom/contracts";
import { type CommandContext, need } from "./context.ts";
import { CliError } from "./errors/cli-error.ts";
import { shortId } from "./output/format.ts";
import { word } from "./output/words.ts";

const fullId = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const prefixOfId = /^[0-9a-f][0-9a-f-]{3,35}$/i;
/** Ids are completed from the newest of a list; older ones must be written out. */
const listedAtMost = 1_000;

interface Named {
  readonly id: string;
  readonly name: string;
}

/** The id of an agent: itself, its first characters (four at least), or its host name; the registry looks among all it knows. */
export async function agentIdOf(context: CommandContext, given: string): Promise<string> {
  if (fullId.test(given)) return given.toLowerCase();
  const { fleet } = context.client();
  const byName = need(await fleet.list({ hostname: given, pageSize: shownAtMost }));
  const [named] = byName.agents;
  if (named !== undefined && byName.totalSize === 1) return named.agentId;
  if (named !== undefined) throw sharedName(given, byName);
  const byId = prefixOfId.test(given)
    ? need(await fleet.list({ agentIdPrefix: given, pageSize: shownAtMost }))
    : noAgents;
  const candidates = byId.agents.map(({ agentId, hostname }) => ({ id: agentId, name: hostname }));
  return complete("agent", given, candidates, "headroom agents list", byId.totalSize);
}

const noAgents: Pick<wire.ListAgentsResponse, "agents" | "totalSize"> = { agents: [], totalSize: 0 };

/** The id of a join token: itself, or its first characters. */
export async function joinTokenIdOf(context: CommandContext, given: string): Promise<string> {
  if (fullId.test(given)) return given.toLowerCase();
  const { tokens } = need(await context.client().fleet.listJoinTokens(listedAtMost));
  const candidates = tokens.map(({ tokenId, poolName }) => ({ id: tokenId, name: `pool ${poolName}` }));
  return complete("join token", given, candidates, "headroom agents token list");
}

/** As many candidates as a screen shows beside its question. */
const shownAtMost = 10;

function sharedName(hostname: string, { agents, totalSize }: wire.ListAgentsResponse): CliError {
  const hidden = totalSize - agents.length;
  return new CliError({
    message: `${JSON.stringify(hostname)} is the host name of ${totalSize} agents`,
    reason: "AMBIGUOUS_NAME",
    details: [
      ...agents.map(({ agentId, status }) => `${agentId}  ${word("AgentStatus", status)}`),
      ...(hidden > 0 ? [`and ${hidden} more: headroom agents list shows all`] : []),
    ],
    wayOut: "write the id of the one that is meant, or the first characters of it, four at least",
  });
}

/** The id of a plan: itself or its first characters. */
export async function planIdOf(context: CommandContext, given: string): Promise<string> {
  if (fullId.test(given)) return given.toLowerCase();
  checkPrefix("plan", given);
  const { plans } = need(await context.client().plans.list({ pageSize: listedAtMost }));
  return complete(
    "plan",
    given,
    plans.map(({ planId, name }) => ({ id: planId, name })),
    "headroom plan list",
  );
}

/** The id of a task: itself or its first characters. */
export async function taskIdOf(context: CommandContext, given: string): Promise<string> {
  if (fullId.test(given)) return given.toLowerCase();
  checkPrefix("task", given);
  const { tasks } = need(await context.client().tasks.list({ pageSize: listedAtMost }));
  return complete("task", given, namedTasks(tasks), "headroom plan get PLAN_ID");
}

function namedTasks(tasks: readonly wire.Task[]): Named[] {
  return tasks.map(({ taskId, name }) => ({ id: taskId, name }));
}

function checkPrefix(what: string, given: string): void {
  if (prefixOfId.test(given)) return;
  throw new CliError({
    message: `${JSON.stringify(given)} is not the id of a ${what}`,
    reason: "INVALID_ID",
    wayOut: `write its UUID, or the first characters of it, four at least`,
  });
}

/** Exported for tests. */
export function complete(
  what: string,
  given: string,
  candidates: readonly Named[],
  list: string,
  total: number | null = null,
): string {
  const prefix = given.toLowerCase();
  const matching = prefixOfId.test(given) ? candidates.filter(({ id }) => id.startsWith(prefix)) : [];
  const [first, ...others] = matching;
  if (first !== undefined && others.length === 0) return first.id;
  if (first === undefined) {
    throw new CliError({
      message: `no ${what} is called ${JSON.stringify(given)}`,
      reason: `${what.toUpperCase()}_NOT_FOUND`,
      wayOut: `${list} shows what there is; an id may be shortened to its first characters, four at least`,
    });
  }
  throw new CliError({
    message: `${total ?? matching.length} ${what}s begin with ${given}`,
    reason: "AMBIGUOUS_ID",
    details: matching.slice(0, shownAtMost).map(({ id, name }) => `${id}  ${name}`),
    wayOut: `write more of the id than ${shortId(given)}`,
  });
}
