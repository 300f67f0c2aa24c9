import type { ClientError } from "@headroom/client";
import type { wire } from "@headroom/contracts";
import { sleep } from "@headroom/runtime";
import { need, type CommandContext, type Run } from "../context.ts";
import { cliErrorOf, isPassing } from "../errors/cli-error.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { agentIdOf } from "../ids.ts";
import { count } from "../output/format.ts";
import { timeOf, word } from "../output/words.ts";

export interface AgentsDrainOptions {
  /** In milliseconds. */
  readonly deadline?: number;
  readonly reason: string;
  /** Follow the drain to its end. Default: when there is a deadline, so that there is an end. */
  readonly wait?: boolean;
}

const LOOK_EVERY_MS = 1_000;

/** `headroom agents drain ID` */
export function agentsDrain(
  given: string,
  { deadline, reason, wait = deadline !== undefined }: AgentsDrainOptions,
): Run {
  return async (context) => {
    const options = { reason, ...(deadline !== undefined && { deadlineMs: deadline }) };
    const agent = need(await context.client().fleet.drain(await agentIdOf(context, given), options));
    const running = agent.attemptIds.length;
    const limit = timeOf(agent.capacity?.drainDeadline);
    const until = limit === null ? "" : `, until ${new Date(limit).toISOString()}`;
    const rest = running === 0 ? "nothing runs there" : `${count(running, "task")} there may end${until}`;
    if (!context.isJson) context.say(`${nameOf(agent)} is being drained: no new work; ${rest}`);
    if (wait) return follow(context, agent);
    if (context.isJson) context.printJson("registry", "DrainAgentResponse", { agent });
    return exitCodes.done;
  };
}

/** To the end of the drain, or until the person goes away; the drain goes on then. */
async function follow(context: CommandContext, first: wire.Agent): Promise<ExitCode> {
  const { io } = context;
  const interrupted = io.interrupted();
  let told = progressOf(first);
  let isAway = false;
  for (let agent = first; ;) {
    if (!agent.draining) return ended(context, agent);
    await sleep(io.ports.timers, LOOK_EVERY_MS, interrupted).catch((error: unknown) => {
      if (!interrupted.aborted) throw error;
    });
    if (interrupted.aborted) return leave(context, agent);
    const looked = await context.client().fleet.get(agent.agentId, { signal: interrupted });
    if (looked.kind === "error") {
      if (!interrupted.aborted) noteAway(context, looked.error, isAway);
      isAway = true;
      continue;
    }
    agent = looked.value;
    isAway = false;
    const progress = progressOf(agent);
    if (progress !== told && agent.draining && !context.isJson) context.say(progress);
    told = progress;
  }
}

/** A registry that restarts says nothing of the drain. Anything else ends the command. */
function noteAway(context: CommandContext, error: ClientError, isTold: boolean): void {
  if (!isPassing(error)) throw cliErrorOf(error);
  if (!isTold) context.say(`headroom: ${error.message}; the drain goes on, and is looked at again`);
}

function progressOf({ attemptIds, capacity }: wire.Agent): string {
  const evicted = capacity?.evictAttemptIds.length ?? 0;
  const left = `${count(attemptIds.length, "task")} left`;
  return evicted === 0 ? left : `${left}; the deadline has passed: ${evicted} being stopped, to be tried elsewhere`;
}

function ended(context: CommandContext, agent: wire.Agent): ExitCode {
  if (context.isJson) context.printJson("registry", "DrainAgentResponse", { agent });
  else if (!agent.cordoned) context.say(`${nameOf(agent)} takes work again: somebody ended the drain`);
  else
    context.say(
      `${nameOf(agent)} is drained: nothing runs there; headroom agents uncordon ${agent.agentId} lets it work again`,
    );
  return agent.cordoned ? exitCodes.done : exitCodes.error;
}

function leave(context: CommandContext, agent: wire.Agent): ExitCode {
  if (context.isJson) context.printJson("registry", "DrainAgentResponse", { agent });
  context.say(`no longer watched; the drain goes on: ${progressOf(agent)}, ${word("AgentStatus", agent.status)}`);
  return exitCodes.waiting;
}

const nameOf = ({ hostname, agentId }: wire.Agent): string => `${hostname} (${agentId})`;
