import type { AssignedWork } from "../attempt.ts";
import type { AttemptLife } from "./attempt-life.ts";
import type { AttemptTable } from "./attempt-table.ts";
import { decideAssignment, type RefusalReason } from "./decide-assignment.ts";
import { logFields, type HeldAttempt } from "./held-attempt.ts";
import { beginLease, renewLease } from "./lease.ts";
import type { SupervisorListener, SupervisorOptions } from "./supervisor-options.ts";

export type Answer = { readonly accepted: true } | { readonly accepted: false; readonly reason: RefusalReason };

export type Reply = (answer: Answer) => void;

/** Takes assignments: decides, writes down, answers, and only then begins. */
export class Acceptance {
  readonly #options: SupervisorOptions;
  readonly #table: AttemptTable;
  readonly #life: AttemptLife;
  readonly #tell: Omit<SupervisorListener, "output">;
  #stopping = false;

  constructor(
    options: SupervisorOptions,
    table: AttemptTable,
    life: AttemptLife,
    tell: Omit<SupervisorListener, "output">,
  ) {
    this.#options = options;
    this.#table = table;
    this.#life = life;
    this.#tell = tell;
  }

  /** Takes nothing new from now on. */
  stop(): void {
    this.#stopping = true;
  }

  /**
   * Takes, adopts or refuses an attempt. `reply` is called once, after the journal has what it says. `receivedAtMs` is on the
   * monotonic clock. Never rejects.
   */
  async assign(work: AssignedWork, receivedAtMs: number, reply: Reply): Promise<void> {
    const known = this.#table.get(work.attemptId);
    const decision = decideAssignment(
      work.fence,
      known === undefined ? null : { fence: known.fence, isFinished: known.result !== null },
      {
        stopping: this.#stopping,
        ownerHold: this.#options.isHeldByOwner(),
        isFull: this.#table.isFull,
        isOverfull: !this.#options.room.fits(work.reserved, this.#table.promisedAmounts()),
        isUnfit: this.#life.isUnfit || work.isUnclear,
        isLate: this.#isLate(work, receivedAtMs),
        wasAcked: this.#table.wasAcked(work.attemptId),
        refused: this.#table.refusal(work.attemptId),
      },
    );
    switch (decision.kind) {
      case "refuse":
        return this.#refuse(work, decision.reason, reply);
      case "run":
        return this.#accept(work, receivedAtMs, reply);
      case "adopt":
        return this.#adopt(work, receivedAtMs, reply);
      case "answer_again": {
        const isAccepted = (await known?.accepted) ?? false;
        if (!isAccepted)
          return this.#refuse(work, this.#table.refusal(work.attemptId)?.reason ?? "JOURNAL_FAILED", reply);
        reply({ accepted: true });
        this.#tellAgain(work.attemptId);
      }
    }
  }

  #isLate(work: AssignedWork, receivedAtMs: number): boolean {
    if (work.acceptWithinMs === null) return false;
    return this.#options.ports.clock.monotonic() - receivedAtMs >= work.acceptWithinMs;
  }

  #refuse(work: AssignedWork, reason: RefusalReason, reply: Reply): void {
    this.#options.logger.info({ ...logFields(work), fence: work.fence, reason }, "refused an attempt");
    if (reason !== "STALE_FENCE") this.#table.rememberRefusal(work.attemptId, work.fence, reason);
    reply({ accepted: false, reason });
  }

  async #accept(work: AssignedWork, receivedAtMs: number, reply: Reply): Promise<void> {
    const attempt = this.#table.add(work, beginLease(work.workLeaseMs, receivedAtMs));
    const written = this.#writeDown(work, receivedAtMs, attempt);
    attempt.accepted = written.then((refusal) => refusal === null);
    const refusal = await written;
    if (refusal !== null) return this.#refuse(work, refusal, reply);
    this.#options.logger.info(
      { ...logFields(work), fence: work.fence, task_name: work.taskName },
      "accepted an attempt",
    );
    reply({ accepted: true });
    this.#options.onAttemptsChanged();
    this.#life.begin(attempt, work);
  }

  /** null: it is taken. Else why it was not: the journal does not say then that it was. */
  async #writeDown(work: AssignedWork, receivedAtMs: number, attempt: HeldAttempt): Promise<RefusalReason | null> {
    const { attemptId, fence, taskId, planId, taskName, workLeaseMs, reserved } = work;
    const { journal, logger, ports } = this.#options;
    const atMs = ports.clock.now();
    // What the owner has said since the last look counts too. This one takes no longer than the disk does.
    const looked = this.#options.lookForHold?.();
    let refusal: RefusalReason | null = null;
    try {
      await journal.append({
        kind: "accepted",
        attemptId,
        fence,
        atMs,
        taskId,
        planId,
        taskName,
        workLeaseMs,
        reserved,
      });
      await looked;
      // The disk took longer than there was time: by now someone else may have the task.
      if (this.#isLate(work, receivedAtMs)) refusal = "TOO_LATE";
      else if (this.#options.isHeldByOwner()) refusal = "OWNER_HOLD";
      attempt.isAccepted = refusal === null;
      if (refusal !== null) await journal.append({ kind: "acked", attemptId, fence });
    } catch (error) {
      attempt.isAccepted = false;
      refusal ??= "JOURNAL_FAILED";
      logger.error({ ...logFields(work), err: error }, "the journal cannot be written: no work is taken until it can");
    }
    if (refusal !== null) this.#table.drop(attemptId);
    return refusal;
  }

  async #adopt(work: AssignedWork, receivedAtMs: number, reply: Reply): Promise<void> {
    const { attemptId, fence } = work;
    const attempt = this.#table.get(attemptId);
    if (attempt === undefined || !(await attempt.accepted)) return this.#refuse(work, "JOURNAL_FAILED", reply);
    try {
      await this.#options.journal.append({ kind: "adopted", attemptId, fence });
    } catch (error) {
      this.#options.logger.error(
        { ...logFields(work), err: error },
        "the journal cannot be written: a higher fence was not taken",
      );
      reply({ accepted: false, reason: "JOURNAL_FAILED" });
      return;
    }
    attempt.fence = Math.max(attempt.fence, fence);
    attempt.lease = renewLease({ ...attempt.lease, lengthMs: work.workLeaseMs }, receivedAtMs);
    attempt.run?.thaw();
    this.#options.logger.info({ ...logFields(work), fence }, "took an attempt over under a higher fence");
    reply({ accepted: true });
    if (attempt.result === null) this.#options.onAttemptsChanged();
    this.#tellAgain(attemptId);
  }

  /** Whoever gives an attempt again may not have heard how far it is. */
  #tellAgain(attemptId: string): void {
    const attempt = this.#table.get(attemptId);
    if (attempt === undefined) return;
    if (attempt.result !== null) this.#tell.finished(attemptId);
    else if (attempt.startedAtMs !== null) this.#tell.started(attemptId);
  }
}
