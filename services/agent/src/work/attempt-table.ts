import { createDeferred } from "@headroom/runtime";
import type { Amounts } from "@headroom/scheduling";
import { maxAckedIds } from "../journal/journal-state.ts";
import type { JournalEntry } from "../journal/journal.ts";
import { OutputSpool } from "../output/output-spool.ts";
import type { RefusalReason } from "./decide-assignment.ts";
import { maxHeldAttempts, type HeldAttempt, type KeptOutput, type NewAttempt } from "./held-attempt.ts";
import { beginLease, type Lease } from "./lease.ts";
import type { SupervisorOptions } from "./supervisor-options.ts";

interface Refusal {
  readonly fence: number;
  readonly reason: RefusalReason;
}

/** A copy of a refused assignment comes seconds later, if at all. */
const maxRefusals = 1_000;

/** Each may hold 16 MiB on the disk, and a service that never acknowledges output must not fill it. */
const maxDraining = 64;

/** The attempts that are held, those that were acknowledged, and those that were refused. */
export class AttemptTable {
  readonly #options: SupervisorOptions;
  readonly #onOutput: (attemptId: string) => void;
  readonly #held = new Map<string, HeldAttempt>();
  readonly #acked = new Set<string>();
  readonly #refused = new Map<string, Refusal>();
  /** Attempts that were acknowledged, and whose output is not delivered yet: it is taken under their fence only. */
  readonly #draining = new Map<string, KeptOutput>();

  constructor(options: SupervisorOptions, onOutput: (attemptId: string) => void) {
    this.#options = options;
    this.#onOutput = onOutput;
  }

  /** Reads the journal; answers the attempts that have no result yet. */
  async load(): Promise<readonly HeldAttempt[]> {
    const { entries, ackedIds } = await this.#options.journal.open();
    for (const attemptId of ackedIds) this.#acked.add(attemptId);
    for (const entry of entries) await this.#restore(entry);
    // Output of attempts that nobody remembers: their results were acknowledged.
    for (const attemptId of await this.#options.stores.list())
      if (!this.#held.has(attemptId)) await this.#removeSpool(this.#options.stores.open(attemptId), attemptId);
    return this.all().filter((attempt) => attempt.result === null);
  }

  get(attemptId: string): HeldAttempt | undefined {
    return this.#held.get(attemptId);
  }

  all(): readonly HeldAttempt[] {
    return [...this.#held.values()];
  }

  /** No other one may be added: so many run as may, or so many are held, with those whose results wait to be acknowledged, as can be told of. */
  get isFull(): boolean {
    if (this.#held.size >= maxHeldAttempts) return true;
    let unfinished = 0;
    for (const { result } of this.#held.values()) if (result === null) unfinished += 1;
    return unfinished >= this.#options.maxAttempts;
  }

  /** What is promised to those that have not ended. */
  promisedAmounts(): readonly Amounts[] {
    const amounts: Amounts[] = [];
    for (const { result, reserved } of this.#held.values()) if (result === null) amounts.push(reserved);
    return amounts;
  }

  wasAcked(attemptId: string): boolean {
    return this.#acked.has(attemptId);
  }

  refusal(attemptId: string): Refusal | null {
    return this.#refused.get(attemptId) ?? null;
  }

  rememberRefusal(attemptId: string, fence: number, reason: RefusalReason): void {
    this.#refused.delete(attemptId);
    this.#refused.set(attemptId, { fence, reason });
    const [oldest] = this.#refused.keys();
    if (this.#refused.size > maxRefusals && oldest !== undefined) this.#refused.delete(oldest);
  }

  add(work: NewAttempt, lease: Lease): HeldAttempt {
    const finished = createDeferred();
    const acked = createDeferred();
    const attempt: HeldAttempt = {
      attemptId: work.attemptId,
      fence: work.fence,
      taskId: work.taskId,
      planId: work.planId,
      reserved: work.reserved,
      spool: this.#spool(work.attemptId),
      accepted: Promise.resolve(false),
      isAccepted: false,
      pid: null,
      startedAtMs: null,
      leftoverToken: null,
      exit: null,
      run: null,
      lease,
      endCause: null,
      timeout: null,
      result: null,
      finished: finished.promise,
      markFinished: () => finished.resolve(),
      acked: acked.promise,
      markAcked: () => acked.resolve(),
    };
    this.#held.set(work.attemptId, attempt);
    return attempt;
  }

  /** It was not taken after all. */
  drop(attemptId: string): void {
    this.#held.delete(attemptId);
  }

  /** Its result was acknowledged. Output that is still to be delivered is kept a while. */
  async forget(attempt: HeldAttempt): Promise<void> {
    const { attemptId, fence, spool } = attempt;
    // If this fails the result is sent once more after a restart, and refused or acknowledged again.
    await this.#options.journal.append({ kind: "acked", attemptId, fence }).catch((error: unknown) => {
      this.#options.logger.warn({ err: error, attempt_id: attemptId }, "the journal could not note an acknowledgement");
    });
    if (!this.#held.delete(attemptId)) return;
    this.#acked.add(attemptId);
    const [oldest] = this.#acked;
    if (this.#acked.size > maxAckedIds && oldest !== undefined) this.#acked.delete(oldest);
    if (spool.isDelivered) await this.#removeSpool(spool);
    else this.#drain(attemptId, attempt);
    attempt.markAcked();
  }

  outputOf(attemptId: string): KeptOutput | undefined {
    return this.#held.get(attemptId) ?? this.#draining.get(attemptId);
  }

  outputAcked(attemptId: string, seq: number): void {
    const spool = this.#draining.get(attemptId)?.spool;
    if (spool === undefined) return;
    spool.delivered(seq);
    if (!spool.isDelivered) return;
    this.#draining.delete(attemptId);
    void this.#removeSpool(spool);
  }

  draining(): readonly string[] {
    return [...this.#draining.keys()];
  }

  /** Output of acknowledged attempts goes; what belongs to the others stays on the disk. */
  async close(): Promise<void> {
    const draining = [...this.#draining.values()];
    this.#draining.clear();
    await Promise.all(draining.map(({ spool }) => this.#removeSpool(spool)));
    await Promise.all(this.all().map((attempt) => attempt.spool.close()));
  }

  async #restore(entry: JournalEntry): Promise<void> {
    const attempt = this.add(entry, beginLease(entry.workLeaseMs, this.#options.ports.clock.monotonic()));
    attempt.accepted = Promise.resolve(true);
    attempt.isAccepted = true;
    // Of a program that had ended the number says nothing any more.
    attempt.pid = entry.started?.exit === undefined ? (entry.started?.pid ?? null) : null;
    attempt.startedAtMs = entry.started?.atMs ?? null;
    attempt.leftoverToken = entry.started?.startToken ?? null;
    attempt.exit = entry.started?.exit ?? null;
    attempt.result = entry.result;
    if (entry.result !== null) attempt.markFinished();
    // A work stream tries it again.
    await attempt.spool.load(entry.result?.lastOutputSeq).catch((error: unknown) => {
      this.#options.logger.warn(
        { err: error, attempt_id: entry.attemptId },
        "stored output of a task cannot be read; trying on",
      );
    });
  }

  #drain(attemptId: string, output: KeptOutput): void {
    this.#draining.set(attemptId, output);
    const [oldest] = this.#draining;
    if (this.#draining.size <= maxDraining || oldest === undefined) return;
    this.#draining.delete(oldest[0]);
    void this.#removeSpool(oldest[1].spool);
  }

  #spool(attemptId: string): OutputSpool {
    const { ports, logger, stores } = this.#options;
    return new OutputSpool({ store: stores.open(attemptId), ports, logger, onMore: () => this.#onOutput(attemptId) });
  }

  /** Never rejects. */
  async #removeSpool(spool: Pick<OutputSpool, "remove">, attemptId?: string): Promise<void> {
    await spool.remove().catch((error: unknown) => {
      this.#options.logger.warn(
        { err: error, attempt_id: attemptId },
        "delivered output of a task could not be removed",
      );
    });
  }
}
