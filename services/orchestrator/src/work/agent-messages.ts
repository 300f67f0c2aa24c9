import type { FromWire, wire } from "@headroom/contracts";
import { invalidArgument } from "@headroom/rpc";
import type { Ports } from "@headroom/runtime";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { Releaser } from "../placing/placer.ts";
import type { AppliedVerdict, AttemptKnown, DecideAttempt, FencedAttempt, OutputChunk } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";
import { decideResult, decideUndelivered } from "./decide-result.ts";
import { Renewals } from "./renewals.ts";
import type { Session } from "./session.ts";
import type { Settle } from "./settlement.ts";
import { untilWritten } from "./until-written.ts";
import {
  chunkFromWire,
  finishedAckMessage,
  outputAckMessage,
  renewedMessage,
  resultFromWire,
  timeFromWire,
} from "./wire-messages.ts";

export interface AgentMessagesOptions {
  readonly store: OrchestratorStore;
  readonly settle: Settle;
  readonly releaser: Releaser;
  /** Room is about to appear. */
  readonly expectRoom: () => void;
  readonly avoided: AvoidedAgents;
  readonly ports: Ports;
  readonly planChanged: (planId: string) => void;
  readonly attemptChanged: (attemptId: string) => void;
  /** Output kept of one attempt. */
  readonly maxOutputBytes: number;
}

/** Output comes by a way of its own, in batches; several reports come one by one. */
type Message = Exclude<NonNullable<wire.AttachRequest["message"]>, { $case: "hello" | "output" | "reports" }>;

/** An attempt that its agent has, whose answer was lost or is on its way: nobody waits for that to be written. */
type Accept = (attempt: AttemptKnown) => void;

/**
 * What agents say after their hello. Whatever is acknowledged has been committed. What somebody keeps locked is waited for as long as the
 * stream lasts, a renewal of leases excepted, which waits for nothing.
 */
export interface AgentMessages {
  /** Rejects when the store is away: nothing was acknowledged, the agent says it again. */
  handle(session: Session, message: Message, accept: Accept): Promise<void>;
  /** The agent has this attempt, so it has accepted it. */
  acceptHeld(session: Session, attempt: AttemptKnown): Promise<void>;
  /** Pieces of output of one attempt, in order; none is fine. */
  output(session: Session, pieces: readonly wire.AttemptOutput[]): Promise<void>;
}

export function createAgentMessages(options: AgentMessagesOptions): AgentMessages {
  const renewals = new Renewals(options.store, options.ports.clock);
  return {
    output: (session, pieces) => output(options, session, pieces),
    acceptHeld: (session, attempt) => acceptHeld(options, session, attempt),
    handle(session, message, accept) {
      switch (message.$case) {
        case "answer":
          return message.value.accepted
            ? accepted(options, session, fenced(message.value))
            : refused(options, session, message.value);
        case "started":
          return started(options, session, message.value);
        case "finished":
          return finished(options, session, message.value);
        case "renew":
          return renew(options, renewals, session, message.value, accept);
      }
    },
  };
}

async function accepted(options: AgentMessagesOptions, session: Session, attempt: FencedAttempt): Promise<void> {
  const now = await accept(options, session, attempt);
  await afterRunning(options, session, attempt, now, "task accepted by its agent");
}

function accept(options: AgentMessagesOptions, session: Session, attempt: FencedAttempt): Promise<AttemptKnown | null> {
  return untilWritten(options.ports, session, attempt.attemptId, (patience) =>
    options.store.acceptAttempt(attempt, session.agentId, patience),
  );
}

async function started(options: AgentMessagesOptions, session: Session, message: wire.AttemptStarted): Promise<void> {
  const startedAtMs = timeFromWire(message.startedAt) ?? options.ports.clock.now();
  const attempt = fenced(message);
  const now = await untilWritten(options.ports, session, attempt.attemptId, (patience) =>
    options.store.markStarted(attempt, session.agentId, startedAtMs, patience),
  );
  await afterRunning(options, session, attempt, now, "task started");
}

/** Null: it is no (longer its) attempt, unless it has ended meanwhile. */
async function afterRunning(
  options: AgentMessagesOptions,
  session: Session,
  attempt: FencedAttempt,
  now: AttemptKnown | null,
  news: string,
): Promise<void> {
  if (now === null) {
    // The agent may have said this just before its result was committed; only what nobody wants is ended.
    const [known] = await options.store.findAttempts([attempt.attemptId]);
    const ended = known?.state === "succeeded" || known?.state === "failed" || known?.state === "cancelled";
    if (!ended || known.fence !== attempt.fence) session.cancel(attempt, "the attempt was given up");
    return;
  }
  told(options, session, now, news);
}

function told(options: AgentMessagesOptions, session: Session, now: AttemptKnown, news: string): void {
  session.logger.info({ plan_id: now.planId, task_id: now.taskId, attempt_id: now.attemptId }, news);
  options.planChanged(now.planId);
  options.attemptChanged(now.attemptId);
  if (now.cancelRequested) session.cancel(now, "cancelled on request");
}

/** Refusals that say nothing of whether it runs: the result that follows, or the higher fence, decides. */
const NOT_A_REFUSAL: ReadonlySet<string> = new Set(["STALE_FENCE", "ALREADY_FINISHED"]);

async function refused(options: AgentMessagesOptions, session: Session, answer: wire.AssignmentAnswer): Promise<void> {
  const attempt = fenced(answer);
  if (NOT_A_REFUSAL.has(answer.reason)) {
    session.logger.info(
      { attempt_id: attempt.attemptId, reason: answer.reason },
      "the agent does not take an assignment",
    );
    return;
  }
  options.avoided.avoid(session.agentId, answer.reason === "TOO_LATE" ? "late" : "refused");
  const decide = decideUndelivered(
    `its agent refused it (${answer.reason === "" ? "no reason given" : answer.reason})`,
  );
  session.refused.add(attempt.attemptId);
  const applied = await undeliver(options, session, attempt, decide).finally(() =>
    session.refused.delete(attempt.attemptId),
  );
  if (applied !== null)
    options.settle({ ...attempt, agentId: session.agentId }, applied, "refused by its agent", session.logger);
}

async function undeliver(
  { store, ports }: AgentMessagesOptions,
  session: Session,
  attempt: FencedAttempt,
  decide: DecideAttempt,
): Promise<AppliedVerdict | null> {
  const refused = { ...attempt, sentAtMs: await store.lastSentAt(attempt.attemptId) };
  return untilWritten(ports, session, attempt.attemptId, (patience) =>
    store.undeliver(refused, session.agentId, decide, patience),
  );
}

async function output(
  options: AgentMessagesOptions,
  session: Session,
  pieces: readonly wire.AttemptOutput[],
): Promise<void> {
  const last = pieces.at(-1);
  if (last === undefined) return;
  const attempt = fenced(last);
  const nowMs = options.ports.clock.now();
  const chunks = pieces.map((piece) => understood(chunkFromWire(piece, nowMs)));
  const seq = await untilWritten(options.ports, session, attempt.attemptId, (patience) =>
    options.store.appendOutput(attempt, session.agentId, chunks, options.maxOutputBytes, patience),
  );
  if (seq === null) await warnOfUnknownOutput(options, session, attempt, chunks);
  // Unknown: nobody will ever read it, so the agent need not keep it.
  session.send(outputAckMessage(attempt.attemptId, seq ?? last.seq));
  if (seq !== null) options.attemptChanged(attempt.attemptId);
}

/** Once for each attempt: whatever follows of it goes the same way. Says whose it is, where the attempt is known under another fence or agent. */
async function warnOfUnknownOutput(
  options: AgentMessagesOptions,
  session: Session,
  { attemptId, fence }: FencedAttempt,
  chunks: readonly OutputChunk[],
): Promise<void> {
  if (!session.isFirstUnknownOutput({ attemptId, fence })) return;
  const [known] = await options.store.findAttempts([attemptId]);
  session.logger.warn(
    {
      attempt_id: attemptId,
      task_id: known?.taskId,
      plan_id: known?.planId,
      fence,
      known_fence: known?.fence,
      known_agent_id: known?.agentId,
      bytes: chunks.reduce((sum, { data }) => sum + data.byteLength, 0),
    },
    "output of an unknown attempt is dropped, and so is what follows of it",
  );
}

const attemptEnded = "attempt ended";

async function finished(options: AgentMessagesOptions, session: Session, message: wire.AttemptFinished): Promise<void> {
  const result = understood(resultFromWire(message, session.agentId));
  // An agent says that an attempt has ended when its processes are gone. Whatever the result turns out to count for, its room is free,
  // and need not wait for the commit.
  const isRoomGivenBack = session.takeSent(result);
  if (isRoomGivenBack) {
    options.releaser.release([result], attemptEnded);
    options.expectRoom();
  }
  const decide = decideResult(result, options.ports.random.next());
  const applied = await untilWritten(options.ports, session, result.attemptId, (patience) =>
    options.store.finishAttempt(result, decide, patience),
  );
  if (applied === null) {
    session.logger.warn({ attempt_id: result.attemptId }, "a result of an unknown attempt was refused");
    session.send(finishedAckMessage(result.attemptId, true));
    return;
  }
  session.send(finishedAckMessage(result.attemptId, applied.verdict.kind === "refused"));
  options.settle({ ...result, isRoomGivenBack }, applied, attemptEnded, session.logger);
}

async function renew(
  options: AgentMessagesOptions,
  renewals: Renewals,
  session: Session,
  message: wire.RenewLeases,
  accept: Accept,
): Promise<void> {
  const asked = message.attempts.filter((attempt) => !attempt.finished).map(fenced);
  const isAsked = new Set(asked.map(({ attemptId }) => attemptId));
  // A result that waits for a lock: nobody is to find that its attempt is lost, and do it again. Its agent asks for no lease of what has ended.
  const waiting = session.waitingResults().filter(({ attemptId }) => !isAsked.has(attemptId));
  const known = await renewals.renew([...asked, ...waiting], session.agentId);
  const renewed = known.renewed.filter(({ attemptId }) => isAsked.has(attemptId));
  const ids = new Set(renewed.map(({ attemptId }) => attemptId));
  // Its agent may have what is in use: that its lease could not be renewed at this moment does not make it unwanted.
  const wanted = new Set([...ids, ...known.inUse.map(({ attemptId }) => attemptId)]);
  const missing = asked.filter(({ attemptId }) => !wanted.has(attemptId));
  const unwanted = await unwantedOf(options, missing);
  session.send(renewedMessage([...ids], unwanted));
  for (const attempt of renewed) {
    if (attempt.state === "assigned") accept(attempt);
    else if (attempt.cancelRequested) session.cancel(attempt, "cancelled on request");
  }
}

async function acceptHeld(options: AgentMessagesOptions, session: Session, attempt: FencedAttempt): Promise<void> {
  const now = await accept(options, session, attempt);
  // It has ended meanwhile, or another renewal will find that it is unwanted.
  if (now !== null) told(options, session, now, "task accepted by its agent");
}

/** An attempt whose result was committed a moment ago is neither renewed nor unwanted. */
async function unwantedOf(
  options: AgentMessagesOptions,
  missing: readonly FencedAttempt[],
): Promise<readonly string[]> {
  if (missing.length === 0) return [];
  const known = new Map(
    (await options.store.findAttempts(missing.map(({ attemptId }) => attemptId))).map((attempt) => [
      attempt.attemptId,
      attempt,
    ]),
  );
  return missing
    .filter(({ attemptId, fence }) => {
      const attempt = known.get(attemptId);
      const ended = attempt?.state === "succeeded" || attempt?.state === "failed" || attempt?.state === "cancelled";
      return !ended || attempt.fence !== fence;
    })
    .map(({ attemptId }) => attemptId);
}

function fenced(message: { readonly attemptId: string; readonly fence: number }): FencedAttempt {
  return { attemptId: message.attemptId.toLowerCase(), fence: message.fence };
}

function understood<T>(read: FromWire<T>): T {
  if (read.kind === "ok") return read.value;
  throw invalidArgument([{ field: read.field, description: read.description }]);
}
