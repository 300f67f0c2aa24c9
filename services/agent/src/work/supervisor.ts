import type { AssignedWork } from "../attempt.ts";
import type { ListedAttempt } from "../sampling/sampler.ts";
import { Acceptance, type Reply } from "./acceptance.ts";
import { logFields, type EndCause, type HeldAttempt, type KeptOutput } from "./held-attempt.ts";
import { AttemptLife } from "./attempt-life.ts";
import { AttemptTable } from "./attempt-table.ts";
import { freezeLease, graceLeftMs, judgeLease, renewLease, sleepLease, type Lease } from "./lease.ts";
import type { SupervisorListener, SupervisorOptions } from "./supervisor-options.ts";

/** TERM to KILL unless the caller says otherwise. */
export const defaultGraceMs = 10_000;

/** All attempts that the agent answers for. It goes on with or without a work stream. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #table: AttemptTable;
  readonly #life: AttemptLife;
  readonly #acceptance: Acceptance;
  #listener: SupervisorListener | null = null;
  /** The journal being taken up; a stop waits for it. */
  #loading: Promise<void> = Promise.resolve();
  /** Attempts of the journal whose end nobody has begun: a load that failed leaves them to the next start. */
  readonly #untaken = new Set<HeldAttempt>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#table = new AttemptTable(options, (attemptId) => this.#listener?.output(attemptId));
    const tell = {
      started: (attemptId: string) => this.#listener?.started(attemptId),
      finished: (attemptId: string) => this.#listener?.finished(attemptId),
    };
    this.#life = new AttemptLife(options, tell);
    this.#acceptance = new Acceptance(options, this.#table, this.#life, tell);
  }

  /** Takes up the journal. What an earlier program left running is being ended when this resolves, and listed until it is gone. */
  load(): Promise<void> {
    this.#loading = this.#load();
    return this.#loading;
  }

  async #load(): Promise<void> {
    try {
      const unfinished = await this.#table.load();
      for (const attempt of unfinished) this.#life.endLeftover(attempt);
    } catch (error) {
      for (const attempt of this.#table.all()) this.#untaken.add(attempt);
      throw error;
    }
  }

  /** The one work stream that is told; null: none. */
  listen(listener: SupervisorListener | null): void {
    this.#listener = listener;
  }

  get(attemptId: string): HeldAttempt | undefined {
    return this.#table.get(attemptId);
  }

  /** Accepted, and not acknowledged as ended. */
  held(): readonly HeldAttempt[] {
    return this.#table.all().filter((attempt) => attempt.isAccepted);
  }

  /** Accepted, and its processes are not gone: what a sample lists. */
  listed(): readonly ListedAttempt[] {
    return this.held()
      .filter((attempt) => attempt.result === null)
      .map(({ attemptId, fence, reserved, pid }) => ({ attemptId, fence, reserved, pid }));
  }

  leases(): readonly Lease[] {
    return this.held().flatMap((attempt) => (attempt.result === null ? [attempt.lease] : []));
  }

  /**
   * Takes, adopts or refuses an attempt. `reply` is called once, after the journal has what it says. `receivedAtMs` is on the
   * monotonic clock. Never rejects.
   */
  assign(work: AssignedWork, receivedAtMs: number, reply: Reply): Promise<void> {
    return this.#acceptance.assign(work, receivedAtMs, reply);
  }

  /** Someone wants it ended. A lower fence than the attempt's own has no say. */
  cancel(attemptId: string, fence: number, graceMs: number, reason: string): void {
    const attempt = this.#table.get(attemptId);
    if (attempt === undefined) return;
    if (fence < attempt.fence) {
      this.#options.logger.warn(
        { ...logFields(attempt), fence, own_fence: attempt.fence },
        "a cancellation with a stale fence was ignored",
      );
      return;
    }
    this.#end(attempt, "cancelled", reason === "" ? "it was cancelled" : `it was cancelled: ${reason}`, graceMs);
  }

  /** The orchestrator does not want these any more. */
  unwanted(attemptIds: readonly string[]): void {
    for (const attemptId of attemptIds) {
      const attempt = this.#table.get(attemptId);
      if (attempt !== undefined)
        this.#end(attempt, "cancelled", "the orchestrator no longer wants this attempt", defaultGraceMs);
    }
  }

  /** The deadline of a drain is over; asking again for what is being ended changes nothing. */
  evict(attemptIds: readonly string[]): void {
    for (const attemptId of attemptIds) {
      const attempt = this.#table.get(attemptId);
      // What is not accepted yet is evicted when it is: it is asked for again.
      if (attempt === undefined || !attempt.isAccepted || attempt.endCause !== null) continue;
      this.#end(attempt, "evicted", "the agent is being drained, and the drain's deadline has passed", defaultGraceMs);
    }
  }

  /** The machine is about to sleep, and has said so. */
  get isAsleep(): boolean {
    return this.#life.isAsleep;
  }

  /** These may go on for their whole lease, counted from when the renewal was asked for; not before the machine is back, if it is about to sleep. */
  renewed(attemptIds: readonly string[], askedAtMs: number): void {
    if (this.isAsleep) return;
    for (const attemptId of attemptIds) {
      const attempt = this.#table.get(attemptId);
      if (attempt === undefined || attempt.result !== null) continue;
      attempt.lease = renewLease(attempt.lease, askedAtMs);
      attempt.run?.thaw();
    }
  }

  /** The result is durable elsewhere, or refused for good: it is forgotten. */
  async acked(attemptId: string, refused: boolean): Promise<void> {
    const attempt = this.#table.get(attemptId);
    if (attempt === undefined) return;
    const message = refused ? "the result was refused: the attempt had been superseded" : "the result is durable";
    this.#options.logger.info({ ...logFields(attempt), fence: attempt.fence, refused }, message);
    if (attempt.result === null) {
      // Refused before it ended: its result will be wanted by nobody, but its processes must go.
      this.unwanted([attemptId]);
      await attempt.finished;
    }
    await this.#table.forget(attempt);
  }

  /** All output up to `seq` is durable elsewhere. */
  outputAcked(attemptId: string, seq: number): void {
    this.#table.get(attemptId)?.spool.delivered(seq);
    this.#table.outputAcked(attemptId, seq);
  }

  /** Output of an attempt, also of one whose result was acknowledged before all its output was. */
  outputOf(attemptId: string): KeptOutput | undefined {
    return this.#table.outputOf(attemptId);
  }

  /** Attempts whose result was acknowledged before all their output was. */
  draining(): readonly string[] {
    return this.#table.draining();
  }

  /** The machine is about to sleep: everything stops, and is not judged until `wake`. */
  sleep(): void {
    this.#life.isAsleep = true;
    this.#stopAll(sleepLease);
  }

  /** The machine is back, announced or not: everything stays stopped until its lease is renewed, and ends if that takes too long. */
  wake(): void {
    this.#life.isAsleep = false;
    const nowMs = this.#options.ports.clock.monotonic();
    this.#stopAll((lease) => freezeLease(lease, nowMs));
  }

  #stopAll(leaseOf: (lease: Lease) => Lease): void {
    for (const attempt of this.held()) {
      if (attempt.result !== null || attempt.endCause !== null || attempt.run === null) continue;
      // It runs on, so its lease counts as ever: `tick` ends it once that is over.
      if (attempt.run.isFreezable === false) continue;
      attempt.lease = leaseOf(attempt.lease);
      attempt.run.freeze();
      this.#options.logger.info(logFields(attempt), "the machine sleeps: stopped until the lease is renewed");
    }
  }

  /** Looks at the leases. `slept`: this process stood still just before. */
  tick(slept: boolean): void {
    const nowMs = this.#options.ports.clock.monotonic();
    for (const attempt of this.held()) {
      if (attempt.result !== null) continue;
      if (attempt.endCause !== null) {
        // Whatever grace it was given, it has none beside its successor.
        if (graceLeftMs(attempt.lease, nowMs, attempt.endCause.graceMs) === 0) attempt.run?.end(0);
        continue;
      }
      if (attempt.run === null) {
        this.#life.judgeStart(attempt);
        continue;
      }
      switch (judgeLease(attempt.lease, nowMs, slept)) {
        case "goes_on":
        case "thaw_not_yet":
          break;
        case "freeze":
          if (attempt.run.isFreezable === false) {
            const sentence =
              "its lease ended while the machine slept, and this system cannot stop it until it is renewed";
            this.#end(attempt, "lease_expired", sentence, 0);
            break;
          }
          this.#options.logger.warn(
            logFields(attempt),
            "the agent stood still over the end of the lease: stopped until it is renewed",
          );
          attempt.lease = freezeLease(attempt.lease, nowMs);
          attempt.run.freeze();
          break;
        case "end":
          this.#end(
            attempt,
            "lease_expired",
            "its lease ended without a renewal from the orchestrator",
            defaultGraceMs,
          );
      }
    }
  }

  /**
   * Takes nothing more and ends what runs; resolves when all of it is gone and its results stand in the journal. Not waited for is what an
   * earlier program left and cannot be told from a stranger, and with `leavesLeftovers` whatever it left: the journal keeps it for the next.
   */
  async stop(graceMs: number, leavesLeftovers = false): Promise<void> {
    this.#acceptance.stop();
    // Its failure was told to whoever asked for it.
    await this.#loading.catch(() => undefined);
    const unfinished = this.#table.all().filter((attempt) => attempt.result === null && !this.#untaken.has(attempt));
    for (const attempt of unfinished) this.#end(attempt, "evicted", "the agent stops", graceMs);
    this.#life.stopLeftovers(leavesLeftovers);
    await Promise.all(
      unfinished.map(async (attempt) => ((await attempt.accepted) ? this.#life.whenOver(attempt) : undefined)),
    );
  }

  /** Resolves when no result waits for its acknowledgement. */
  async whenAllAcked(): Promise<void> {
    await Promise.all(this.held().map((attempt) => attempt.acked));
  }

  /** Lets go of files. What is not acknowledged stays on the disk for the next start. */
  async close(): Promise<void> {
    await this.#table.close();
    await this.#options.journal.close();
  }

  #end(attempt: HeldAttempt, outcome: EndCause, sentence: string, graceMs: number): void {
    const nowMs = this.#options.ports.clock.monotonic();
    // What slept past its lease is killed as it stands: it must not go on for a moment beside its successor.
    this.#life.end(attempt, outcome, sentence, graceLeftMs(attempt.lease, nowMs, graceMs));
  }
}
