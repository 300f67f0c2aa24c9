import { msFromDuration, type wire } from "@headroom/contracts";
import { HeadroomError, type DuplexStream } from "@headroom/rpc";
import type { Logger, Ports, Timer } from "@headroom/runtime";
import { assignedWork } from "../attempt.ts";
import type { SessionEnd } from "../connection/keep-connected.ts";
import { leaveReasonOf } from "../connection/leave.ts";
import { maxHeldAttempts } from "./held-attempt.ts";
import { renewEveryMs } from "./lease.ts";
import { Outbox } from "./outbox.ts";
import { ResultSender } from "./result-sender.ts";
import type { StallWatch } from "./stall-watch.ts";
import { defaultGraceMs, type Supervisor } from "./supervisor.ts";
import { toWireHeld, toWireStarted } from "./to-wire.ts";

export type AttachStream = DuplexStream<wire.AttachResponse, wire.AttachRequest>;

export interface AttachSessionOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly agentId: string;
  readonly incarnation: string;
  readonly supervisor: Supervisor;
  readonly stalls: StallWatch;
  /** The stream came up, or went down. */
  onChange(): void;
}

const welcomeLimitMs = 10_000;
const defaultRenewMs = 30_000;
/** A renewal that is not answered within this time says that the stream is dead, however quiet the network is about it. */
const renewAnswerLimitMs = 15_000;
/** A stream that we end and that the service does not close is cancelled after this. */
const closeLimitMs = 2_000;

/** One work stream, from its opening to its close. */
export class AttachSession {
  readonly #options: AttachSessionOptions;
  readonly #stream: AttachStream;
  readonly #outbox: Outbox;
  readonly #results: ResultSender;
  #isUp = false;
  #wasUp = false;
  #isLeaving = false;
  #reconnectWithinMs: number | null = null;
  #wantedRenewMs = defaultRenewMs;
  /** When the renewal that waits for its answer was asked for. One at a time, so that an answer is never taken for another's. */
  #askedAtMs: number | null = null;
  #renewTimer: Timer | null = null;
  /** By the steady clock. */
  #renewDueAtMs = Number.POSITIVE_INFINITY;
  #limitTimer: Timer | null = null;

  constructor(stream: AttachStream, options: AttachSessionOptions) {
    this.#options = options;
    this.#stream = stream;
    this.#outbox = new Outbox((message) => stream.send({ message }));
    this.#results = new ResultSender({
      ports: options.ports,
      logger: options.logger,
      supervisor: options.supervisor,
      send: (message) => this.#send(message),
    });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Resolves when the stream is closed. Never rejects. */
  async run(signal: AbortSignal): Promise<SessionEnd> {
    const { supervisor, agentId, incarnation } = this.#options;
    const closed = new Promise<HeadroomError | null>((resolve) => {
      this.#stream.onMessage((message) => this.#receive(message));
      this.#stream.onPeerEnd(() => {
        this.#outbox.flush();
        this.#stream.end();
      });
      this.#stream.onClose(resolve);
      this.#stream.onDrain(() => this.#results.resume());
    });
    const leave = (): void => {
      if (leaveReasonOf(signal) === "reconnect")
        this.#stream.fail(streamError("MACHINE_SLEPT", "the machine slept; connecting anew"));
      else this.#leave();
    };
    signal.addEventListener("abort", leave, { once: true });
    this.#send({ $case: "hello", value: { agentId, incarnation, attempts: heldOf(supervisor), takesItems: true } });
    this.#limit(welcomeLimitMs, "did not welcome the agent");
    if (signal.aborted) leave();
    const error = await closed;
    signal.removeEventListener("abort", leave);
    this.#down();
    return { wasUp: this.#wasUp, error, reconnectWithinMs: this.#reconnectWithinMs };
  }

  #receive({ message }: wire.AttachResponse): void {
    const { supervisor } = this.#options;
    switch (message?.$case) {
      case "welcome":
        return this.#welcomed(message.value);
      case "assignment":
      case "finishedAck":
        return this.#took(message);
      case "items":
        for (const { item } of message.value.items) if (item !== undefined) this.#took(item);
        return;
      case "cancel": {
        const { attemptId, fence, grace, reason } = message.value;
        return supervisor.cancel(attemptId, fence, msFromDuration(grace) ?? defaultGraceMs, reason);
      }
      case "renewed":
        return this.#renewed(message.value);
      case "outputAck":
        supervisor.outputAcked(message.value.attemptId, message.value.seq);
        return this.#results.outputAcked(message.value.attemptId, message.value.seq);
      case "reconnect":
        this.#reconnectWithinMs = msFromDuration(message.value.within) ?? 0;
        return this.#leave();
      case undefined:
        // Said by a newer orchestrator.
        return;
    }
  }

  #took(item: NonNullable<wire.WorkItem["item"]>): void {
    if (item.$case === "assignment") return this.#assigned(item.value);
    const { attemptId, refused } = item.value;
    void this.#options.supervisor.acked(attemptId, refused).catch((error: unknown) => {
      const { logger } = this.#options;
      logger.error({ err: error, attempt_id: attemptId }, "an acknowledged attempt could not be forgotten");
    });
  }

  #welcomed(welcome: wire.AttachWelcome): void {
    const { supervisor, logger } = this.#options;
    this.#limitTimer?.cancel();
    this.#isUp = true;
    this.#wasUp = true;
    this.#wantedRenewMs = msFromDuration(welcome.renewInterval) ?? defaultRenewMs;
    this.#outbox.takesReports = welcome.takesReports;
    logger.info({ orchestrator: welcome.orchestratorInstance }, "attached to the orchestrator");
    supervisor.unwanted(welcome.unwantedAttemptIds);
    supervisor.listen({
      started: (attemptId) => this.#tellStarted(attemptId),
      output: (attemptId) => this.#results.output(attemptId),
      finished: (attemptId) => this.#results.finished(attemptId),
    });
    // Whoever was away may have missed a start; leases are renewed at once.
    for (const attempt of supervisor.held()) {
      if (attempt.result === null) this.#tellStarted(attempt.attemptId);
      this.#results.begin(attempt.attemptId);
    }
    for (const attemptId of supervisor.draining()) this.#results.begin(attemptId);
    this.#options.onChange();
    this.#renew();
  }

  #assigned(assignment: wire.Assignment): void {
    const { supervisor, logger, stalls } = this.#options;
    const { attemptId, fence } = assignment;
    // The stream is being closed, and an answer would not go out any more: it is given again over the next one.
    if (supervisor.isAsleep) return;
    const answered = supervisor.assign(assignedWork(assignment), stalls.receivedAtMs(), (answer) => {
      const reason = answer.accepted ? "" : answer.reason;
      this.#send({ $case: "answer", value: { attemptId, fence, accepted: answer.accepted, reason } });
      if (answer.accepted) this.#bringRenewalForward(attemptId);
    });
    void answered.catch((error: unknown) => {
      logger.error({ err: error, attempt_id: attemptId }, "an assignment could not be answered");
      this.#stream.fail(streamError("ASSIGNMENT_FAILED", "the agent failed to answer an assignment; see its log"));
    });
  }

  #tellStarted(attemptId: string): void {
    const attempt = this.#options.supervisor.get(attemptId);
    const started = attempt === undefined ? null : toWireStarted(attempt);
    if (started !== null) this.#send({ $case: "started", value: started });
  }

  #renewed(renewed: wire.LeasesRenewed): void {
    const { supervisor } = this.#options;
    const askedAtMs = this.#askedAtMs;
    this.#askedAtMs = null;
    if (!this.#isLeaving) this.#limitTimer?.cancel();
    if (askedAtMs !== null) supervisor.renewed(renewed.attemptIds, askedAtMs);
    supervisor.unwanted(renewed.unwantedAttemptIds);
  }

  /** Asks for more time, also when nothing runs: it is the stream's sign of life. */
  #renew(): void {
    if (!this.#isUp || this.#isLeaving) return;
    if (this.#askedAtMs === null) {
      this.#askedAtMs = this.#options.ports.clock.monotonic();
      const running = this.#options.supervisor.held().filter((attempt) => attempt.result === null);
      this.#send({ $case: "renew", value: { attempts: running.map(toWireHeld) } });
      this.#limit(renewAnswerLimitMs, "did not answer a renewal");
    }
    this.#results.remind();
    this.#scheduleRenew();
  }

  #scheduleRenew(): void {
    this.#renewIn(renewEveryMs(this.#options.supervisor.leases(), this.#wantedRenewMs));
  }

  /** A shorter lease may need it earlier. It never puts it off: else work that comes all the time would keep all leases from being renewed. */
  #bringRenewalForward(attemptId: string): void {
    const attempt = this.#options.supervisor.get(attemptId);
    if (attempt === undefined) return;
    const delayMs = renewEveryMs([attempt.lease], this.#wantedRenewMs);
    if (this.#options.ports.clock.monotonic() + delayMs < this.#renewDueAtMs) this.#renewIn(delayMs);
  }

  #renewIn(delayMs: number): void {
    if (!this.#isUp || this.#isLeaving) return;
    this.#renewTimer?.cancel();
    this.#renewDueAtMs = this.#options.ports.clock.monotonic() + delayMs;
    this.#renewTimer = this.#options.ports.timers.after(delayMs, () => this.#renew());
  }

  #limit(limitMs: number, what: string): void {
    this.#limitTimer?.cancel();
    this.#limitTimer = this.#options.ports.timers.after(limitMs, () => {
      this.#stream.fail(
        streamError("ORCHESTRATOR_SILENT", `the orchestrator ${what} within ${limitMs / 1_000} s; coming back`),
      );
    });
  }

  #leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#outbox.flush();
    this.#stream.end();
    this.#limit(closeLimitMs, "did not close the stream");
  }

  #down(): void {
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#isLeaving = true;
    this.#renewTimer?.cancel();
    this.#limitTimer?.cancel();
    this.#options.supervisor.listen(null);
    this.#results.close();
    if (wasUp) this.#options.onChange();
  }

  #send(message: NonNullable<wire.AttachRequest["message"]>): boolean {
    return this.#outbox.send(message);
  }
}

/** What the contract has room for, and of a journal that holds more what has not ended first: the others are told by their results. */
function heldOf(supervisor: Supervisor): wire.HeldAttempt[] {
  const held = supervisor.held().map(toWireHeld);
  if (held.length <= maxHeldAttempts) return held;
  return held.toSorted((one, other) => Number(one.finished) - Number(other.finished)).slice(0, maxHeldAttempts);
}

function streamError(reason: string, message: string): HeadroomError {
  return new HeadroomError({ code: "UNAVAILABLE", reason, message });
}
