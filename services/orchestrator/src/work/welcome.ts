import type { wire } from "@headroom/contracts";
import { isFinalAttemptState } from "@headroom/scheduling";
import { type Ports, sleep } from "@headroom/runtime";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { AttemptKnown, FencedAttempt } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";
import { resendWithinMs } from "./resending.ts";
import type { Session } from "./session.ts";
import { welcomeMessage } from "./wire-messages.ts";

export interface WelcomeOptions {
  /** This replica. */
  readonly instance: string;
  readonly store: OrchestratorStore;
  readonly avoided: AvoidedAgents;
  readonly ports: Pick<Ports, "timers">;
}

/** Well under a third of the shortest work lease (10 s), so that a lost renewal costs nothing. */
const renewIntervalMs = 3_000;
/** How often what could not be sent again because somebody had it locked is looked at. */
const lookAgainMs = 1_000;

/**
 * Compares the agent's journal with what the store knows, and sets both right. Nothing here waits for what somebody keeps locked: its agent
 * renews no lease before it is over. `accept`: the agent has this attempt, whose answer was lost; nobody waits for that to be written.
 * `whenFree`: these are to be sent again, and somebody has them locked.
 */
export async function welcomeAgent(
  options: WelcomeOptions,
  session: Session,
  hello: wire.AttachHello,
  accept: (attempt: AttemptKnown) => void,
  whenFree: (attemptIds: readonly string[]) => void,
): Promise<void> {
  const { store } = options;
  const { agentId } = session;
  options.avoided.forgive(agentId);
  const held = hello.attempts.map(({ attemptId, fence, finished }) => ({
    attemptId: attemptId.toLowerCase(),
    fence,
    finished,
  }));
  const heldIds = new Set(held.map(({ attemptId }) => attemptId));
  const [known, open] = await Promise.all([store.findAttempts([...heldIds]), store.openAttempts(agentId)]);
  const byId = new Map(known.map((attempt) => [attempt.attemptId, attempt]));

  const unwanted = held.filter(
    (attempt) => !attempt.finished && !isWanted(attempt, byId.get(attempt.attemptId), agentId),
  );
  session.welcome(
    welcomeMessage(
      options.instance,
      renewIntervalMs,
      unwanted.map(({ attemptId }) => attemptId),
    ),
  );

  for (const attempt of open.filter(({ attemptId }) => heldIds.has(attemptId))) {
    if (attempt.cancelRequested) session.cancel(attempt, "cancelled on request");
    if (attempt.state === "assigned") accept(attempt);
  }
  // Sent and not in the journal: it never arrived, or is being written down at this moment. The same attempt again: if it does arrive
  // twice, it is one run. What was cancelled meanwhile goes too, with its cancellation: the agent may be about to say that it has it.
  const absent = open.filter(({ attemptId }) => !heldIds.has(attemptId));
  const unanswered = absent.filter(({ state }) => state === "assigned").map(({ attemptId }) => attemptId);
  const { assignments, inUse } = await store.takeToSendAgain(unanswered, resendWithinMs);
  for (const assignment of assignments) session.assign(assignment);
  const sent = new Set([...assignments.map(({ attemptId }) => attemptId), ...inUse]);
  // What was never sent and is not sent now, nor later, has just been taken back.
  for (const attempt of absent) if (attempt.sent && !sent.has(attempt.attemptId)) warnOfAbsent(session, attempt);
  if (inUse.length > 0) whenFree(inUse);
}

/**
 * Sends again what somebody had locked when its agent said hello, each once. What its agent speaks of is left alone: it has it, or has
 * refused it. Rejects when the store is away.
 */
export async function sendWhenFree(
  { store, ports }: Pick<WelcomeOptions, "store" | "ports">,
  session: Session,
  attemptIds: readonly string[],
): Promise<void> {
  let left = attemptIds;
  while (left.length > 0) {
    await sleep(ports.timers, lookAgainMs, session.signal).catch(() => undefined);
    if (session.isClosed) return;
    const silent = left.filter((attemptId) => !session.hasInWork(attemptId));
    const { assignments, inUse } = await store.takeToSendAgain(silent, resendWithinMs);
    for (const assignment of assignments) session.assign(assignment);
    left = [...inUse, ...left.filter((attemptId) => session.hasInWork(attemptId))];
  }
}

function warnOfAbsent(session: Session, { planId, taskId, attemptId, state }: AttemptKnown): void {
  const what = state === "running" ? "no longer has an attempt that it had accepted" : "never answered an assignment";
  session.logger.warn(
    { plan_id: planId, task_id: taskId, attempt_id: attemptId },
    `the agent ${what}: it counts as lost when its lease has ended`,
  );
}

function isWanted(held: FencedAttempt, known: AttemptKnown | undefined, agentId: string): boolean {
  if (known === undefined || known.agentId !== agentId) return false;
  return !isFinalAttemptState(known.state) && known.fence === held.fence;
}
