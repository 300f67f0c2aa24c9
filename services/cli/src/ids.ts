import { type wire } from "@headroom/contracts";
import { type CommandContext, need } from "./context.ts";
import { CliError } from "./errors/cli-error.ts";
import { shortId } from "./output/format.ts";
import { word } from "./output/words.ts";
import { mostRows } from "./pages.ts";

const fullId = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const prefixOfId = /^[0-9a-f][0-9a-f-]{3,35}$/i;
/** Ids are completed from the newest of a list, for the services have no filter for them; older ones must be written out. */
const listedAtMost = 1_000;

/** What an id is for: what is changed must be certain. */
export type IdUse = "read" | "change";

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

/** The id of a join token that is to be changed: itself, or its first characters. */
export async function joinTokenIdOf(context: CommandContext, given: string): Promise<string> {
  if (fullId.test(given)) return given.toLowerCase();
  const { tokens, nextPageToken } = need(await context.client().fleet.listJoinTokens(listedAtMost));
  const rows = tokens.map(({ tokenId, poolName }) => ({ id: tokenId, name: `pool ${poolName}` }));
  return completeNewest("join token", given, "change", {
    rows,
    isAll: nextPageToken === "",
    list: "headroom agents token list",
    wholeIds: `headroom agents token list --limit ${mostRows} -o json`,
  });
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
export async function planIdOf(context: CommandContext, given: string, use: IdUse): Promise<string> {
  if (fullId.test(given)) return given.toLowerCase();
  checkPrefix("plan", given);
  const { plans, nextPageToken } = need(await context.client().plans.list({ pageSize: listedAtMost }));
  return completeNewest("plan", given, use, {
    rows: plans.map(({ planId, name }) => ({ id: planId, name })),
    isAll: nextPageToken === "",
    list: "headroom plan list",
    wholeIds: `headroom plan list --limit ${mostRows} -o json`,
  });
}

/** The id of a task: itself or its first characters; or PLAN/TASK, the plan's id or first characters and the task's name in it. */
export async function taskIdOf(context: CommandContext, given: string, use: IdUse): Promise<string> {
  if (fullId.test(given)) return given.toLowerCase();
  const [, plan, name] = /^([^/]+)\/(.+)$/s.exec(given) ?? [];
  if (plan !== undefined && name !== undefined)
    return taskOfPlan(context, await planIdOf(context, plan, use), name, use);
  checkPrefix("task", given);
  const { tasks, nextPageToken } = need(await context.client().tasks.list({ pageSize: listedAtMost }));
  return completeNewest("task", given, use, {
    rows: tasks.map(({ taskId, name }) => ({ id: taskId, name })),
    isAll: nextPageToken === "",
    list: "headroom plan get PLAN_ID",
    wholeIds: "headroom plan get PLAN_ID -o json, or headroom queue list -o json of one that waits,",
  });
}

/** The id of a task of a plan: by its name there or its id; for what only reads the first characters of that will do, four at least. */
export async function taskOfPlan(context: CommandContext, planId: string, given: string, use: IdUse): Promise<string> {
  const plan = need(await context.client().plans.get(planId));
  const byName = plan.tasks.find(({ name }) => name === given);
  const mayBeId = use === "read" ? prefixOfId : fullId;
  const byId = mayBeId.test(given) ? plan.tasks.filter((task) => task.taskId.startsWith(given.toLowerCase())) : [];
  const matches = byName === undefined ? byId : [byName];
  const [task] = matches;
  if (matches.length === 1 && task !== undefined) return task.taskId;
  throw new CliError({
    message: `${matches.length === 0 ? "no task" : "more than one task"} of plan ${shortId(planId)} is ${given}; "headroom plan get ${shortId(planId)}" lists them`,
    reason: "TASK_NOT_FOUND",
  });
}

/** The rows that an id is completed from. */
interface Newest {
  readonly rows: readonly Named[];
  /** There are no older ones. */
  readonly isAll: boolean;
  /** The command that shows them. */
  readonly list: string;
  /** The command that shows their ids whole. */
  readonly wholeIds: string;
}

/** Where older rows are not looked through, one of them may begin alike: a read may take the newest for what is meant, a change may not. */
function completeNewest(what: string, given: string, use: IdUse, newest: Newest): string {
  const matching = newest.rows.filter(({ id }) => id.startsWith(given.toLowerCase()));
  if (newest.isAll || (use === "read" && matching.length > 0)) return complete(what, given, newest.rows, newest.list);
  const among = `only the newest ${newest.rows.length} ${what}s were looked through`;
  throw new CliError({
    message:
      matching.length === 0
        ? `no ${what} that begins with ${given} was found, and ${among}`
        : `more than one ${what} may begin with ${given}: ${among}`,
    reason: "SHORT_ID_UNCERTAIN",
    details: matching.slice(0, shownAtMost).map(({ id, name }) => `${id}  ${name}`),
    wayOut: `write the whole id: ${newest.wholeIds} shows it`,
  });
}

/** Where ids are found, and what may stand for one. */
const wayToId = {
  plan: "headroom plan list shows them",
  task: "headroom plan get PLAN lists those of its tasks; PLAN/TASK will do as well, the task's name behind its plan's id",
};

function checkPrefix(what: keyof typeof wayToId, given: string): void {
  if (prefixOfId.test(given)) return;
  throw new CliError({
    message: `${JSON.stringify(given)} is not the id of a ${what}`,
    reason: "INVALID_ID",
    wayOut: `write its id, or the first characters of it, four at least: ${wayToId[what]}`,
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
