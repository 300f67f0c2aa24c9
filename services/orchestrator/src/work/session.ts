import { setMaxListeners } from "node:events";
import type { wire } from "@headroom/contracts";
import { type DuplexStream, HeadroomError } from "@headroom/rpc";
import type { Clock, Logger } from "@headroom/runtime";
import type { AssignmentToSend, FencedAttempt, Patience } from "../store/model.ts";
import type { KeyedChains } from "./keyed-chains.ts";
import { Outbox } from "./outbox.ts";
import { RecentAttempts } from "./recent-attempts.ts";
import { type Silence, Unanswered } from "./unanswered.ts";
import { assignmentMessage, cancelMessage, reconnectMessage, type ToAgent } from "./wire-messages.ts";

/** Attempts of which a stream remembers what it has sent; of older ones the store is asked. */
const maxRemembered = 4_096;

/** Results that may be in work at once: more than an agent has attempts. */
const maxResults = 16_384;

/** Attempts of which a stream remembers that their output is unknown; of older ones that is said again. */
const maxUnknownOutputs = 1_024;

export type WorkStream = DuplexStream<wire.AttachRequest, wire.AttachResponse>;

/** One agent's work stream, from its hello on. What is sent before the welcome waits for it. */
export class Session {
  readonly agentId: string;
  /** This stream, among all of all replicas. */
  readonly sessionId: string;
  readonly logger: Logger;
  readonly #stream: WorkStream;
  readonly #outbox: Outbox;
  readonly #inWork: Pick<KeyedChains, "pending" | "has" | "isAside" | "setAside">;
  readonly #ended = new AbortController();
  /** Messages that could not be written yet because of somebody's lock. */
  #waitForLocks = 0;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #unanswered = new Unanswered(maxRemembered);
  /** What was sent and has not ended, as far as it is remembered. */
  readonly #sent = new RecentAttempts(maxRemembered);
  /** What is to be ended. A cancellation that came before its assignment said nothing to the agent. */
  readonly #cancelled = new RecentAttempts(maxRemembered);
  readonly #unknownOutputs = new RecentAttempts(maxUnknownOutputs);
  /** What its agent refused, and could not be written yet: bounded by what may be in work. */
  readonly refused = new Set<string>();
  /** Results in work: said again meanwhile, a result waits for nothing else. */
  readonly results = new RecentAttempts(maxResults);
  /** Those of them that were in work when the agent renewed last, with their fences. */
  #resultsBefore: ReadonlyMap<string, number> = new Map();
  #beforeWelcome: ToAgent[] | null = [];

  constructor(options: {
    agentId: string;
    sessionId: string;
    stream: WorkStream;
    logger: Logger;
    /** The agent takes several assignments as one message. */
    takesItems: boolean;
    /** Messages of the agent that are in work, by their attempts. */
    inWork: Pick<KeyedChains, "pending" | "has" | "isAside" | "setAside">;
    clock: Pick<Clock, "monotonic">;
  }) {
    this.agentId = options.agentId;
    this.sessionId = options.sessionId;
    this.#stream = options.stream;
    this.#outbox = new Outbox((message) => void options.stream.send(message), options.takesItems);
    this.logger = options.logger;
    this.#inWork = options.inWork;
    this.#clock = options.clock;
    // One for each message that waits for a lock: bounded by what may be in work.
    setMaxListeners(0, this.#ended.signal);
  }

  /** Messages of the agent are in work, its answers perhaps among them. What is set aside is not: see `hasInWork`. */
  get busy(): boolean {
    return this.#inWork.pending > 0;
  }

  /** What it has said of this attempt is in work. */
  hasInWork(attemptId: string): boolean {
    return this.#inWork.has(attemptId);
  }

  /**
   * Asked with each renewal: of which the result waits for somebody's lock, or for output that does, or was in work at the last one already (the
   * database is slow, or others in its line wait for a lock).
   */
  waitingResults(): readonly FencedAttempt[] {
    const before = this.#resultsBefore;
    this.#resultsBefore = new Map(this.results.all().map(({ attemptId, fence }) => [attemptId, fence]));
    return this.results
      .all()
      .filter(({ attemptId, fence }) => this.#inWork.isAside(attemptId) || before.get(attemptId) === fence);
  }

  /** Aborted when the stream has ended. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  get isClosed(): boolean {
    return this.#ended.signal.aborted;
  }

  /** With which what it says of an attempt is written. */
  patience(attemptId: string): Patience {
    return { onLocked: () => this.#inWork.setAside(attemptId), signal: this.#ended.signal };
  }

  /** The first of what waits is told. */
  waitsForLock(attemptId: string, error: unknown): void {
    this.#waitForLocks += 1;
    const level = this.#waitForLocks === 1 ? "warn" : "debug";
    this.logger[level](
      { attempt_id: attemptId, err: error },
      "what an agent says of an attempt cannot be written, because somebody keeps it or its plan locked; it waits, and the rest goes on",
    );
  }

  waitsNoMore(): void {
    this.#waitForLocks -= 1;
    if (this.#waitForLocks === 0 && !this.isClosed) this.logger.info("all that waited for a lock is written");
  }

  /** What was sent to it too early follows the welcome. */
  welcome(message: ToAgent): void {
    this.#stream.send(message);
    const waiting = this.#beforeWelcome ?? [];
    this.#beforeWelcome = null;
    for (const early of waiting) this.#outbox.send(early);
  }

  /** A message that the transport loses is sent again after the next hello: nothing here needs an answer. */
  send(message: ToAgent): void {
    if (this.isClosed) return;
    if (this.#beforeWelcome === null) this.#outbox.send(message);
    else this.#beforeWelcome.push(message);
  }

  /** Behind what somebody has asked to cancel goes the cancellation: its agent ends it before it starts. */
  assign(assignment: AssignmentToSend): void {
    this.#sent.add(assignment);
    this.#unanswered.sent(assignment.attemptId, this.#clock.monotonic());
    this.send(assignmentMessage(assignment));
    if (assignment.cancelRequested || this.#cancelled.has(assignment)) this.cancel(assignment, "cancelled on request");
  }

  /** Whether this very attempt was sent on this stream: then its agent may speak of it before the store is asked. It is forgotten. */
  takeSent(attempt: FencedAttempt): boolean {
    return this.#sent.take(attempt);
  }

  /** Whether output of this attempt is found to be unknown for the first time, as far as that is remembered. */
  isFirstUnknownOutput(attempt: FencedAttempt): boolean {
    if (this.#unknownOutputs.has(attempt)) return false;
    this.#unknownOutputs.add(attempt);
    return true;
  }

  /** Its agent speaks of this attempt. */
  heard(attemptId: string): void {
    this.#unanswered.heard(attemptId.toLowerCase());
  }

  /** Null: it answers, or its silence was told a moment ago. */
  takeSilence(): Silence | null {
    return this.#unanswered.takeSilence(this.#clock.monotonic());
  }

  cancel(attempt: FencedAttempt, reason: string): void {
    this.#cancelled.add(attempt);
    this.send(cancelMessage(attempt, reason));
  }

  /** The server stops: the agent goes on with what it runs, and comes back. */
  askToReconnect(withinMs: number): void {
    this.send(reconnectMessage(withinMs));
    this.#stream.end();
  }

  /** A newer stream of the same agent is here, or at another replica. */
  supersede(): void {
    if (this.isClosed) return;
    this.#stream.fail(
      new HeadroomError({
        code: "ABORTED",
        reason: "SUPERSEDED",
        message: "a newer work stream of this agent has taken over",
      }),
    );
    // What it still has in work counts no more from now on: the newer one says it again.
    this.markClosed();
  }

  fail(error: HeadroomError): void {
    if (!this.isClosed) this.#stream.fail(error);
  }

  markClosed(): void {
    this.#ended.abort();
    this.#beforeWelcome = null;
  }
}
