/** What is written of many plans at once, and of one plan cannot be: the others are written all the same. */
import { classifyError } from "@headroom/postgres";
import type { Logger } from "@headroom/runtime";
import type { OrchestratorStore } from "../store/port.ts";

export interface ByPlanOptions {
  readonly store: Pick<OrchestratorStore, "plansInUse">;
  readonly logger: Logger;
}

/** Plans that are known as locked at most; of one that was forgotten the lock is waited for once more. */
const maxKnown = 1_000;
/** Each may wait for a lock: when so many plans have failed one by one, the rest is given up untried. */
const maxFailures = 2;

export class ByPlan {
  readonly #options: ByPlanOptions;
  /** Failed the last time: before they are waited for again, the store is asked whether they are still locked. */
  readonly #known = new Set<string>();

  constructor(options: ByPlanOptions) {
    this.#options = options;
  }

  /**
   * Writes items together if it can, else by plan. Answers the plans of which certainly nothing was written, each told in the log. Throws
   * what says nothing of whether it was written, like a lost connection.
   */
  async write<Item>(
    items: readonly Item[],
    planOf: (item: Item) => string,
    write: (items: readonly Item[]) => Promise<unknown>,
  ): Promise<ReadonlySet<string>> {
    const failed = await this.#stillLocked(new Set(items.map(planOf)));
    const group = items.filter((item) => !failed.has(planOf(item)));
    if (group.length === 0) return failed;
    try {
      await write(group);
    } catch (error) {
      if (!provesNothingWritten(error)) throw error;
      await this.#writeApart(group, planOf, write, failed, error);
    }
    return failed;
  }

  /** What was found locked, and still is. */
  locked(): Promise<ReadonlySet<string>> {
    return this.#stillLocked(this.#known);
  }

  /** Of what is known as locked, and still is, nothing is tried. */
  async #stillLocked(planIds: ReadonlySet<string>): Promise<Set<string>> {
    const doubted = [...planIds].filter((planId) => this.#known.has(planId));
    if (doubted.length === 0) return new Set();
    const inUse = await this.#options.store.plansInUse(doubted);
    for (const planId of doubted) if (!inUse.has(planId)) this.#known.delete(planId);
    return new Set(inUse);
  }

  async #writeApart<Item>(
    items: readonly Item[],
    planOf: (item: Item) => string,
    write: (items: readonly Item[]) => Promise<unknown>,
    failed: Set<string>,
    error: unknown,
  ): Promise<void> {
    const planIds = [...new Set(items.map(planOf))];
    if (planIds.length === 1) return this.#fail(planIds, error, failed);
    const inUse = await this.#options.store.plansInUse(planIds);
    const free = planIds.filter((planId) => !inUse.has(planId));
    // Is it a lock, those that have none go first, together. One that has may only have been busy for a moment.
    const rounds = inUse.size > 0 ? [free, ...[...inUse].map((planId) => [planId])] : free.map((planId) => [planId]);
    let failures = 0;
    let last = error;
    for (const round of rounds) {
      const group = items.filter((item) => round.includes(planOf(item)));
      if (group.length === 0) continue;
      if (failures < maxFailures) {
        try {
          await write(group);
          continue;
        } catch (cause) {
          if (!provesNothingWritten(cause)) throw cause;
          last = cause;
        }
      }
      failures += 1;
      this.#fail(round, last, failed);
    }
  }

  #fail(planIds: readonly string[], error: unknown, failed: Set<string>): void {
    for (const planId of planIds) {
      failed.add(planId);
      if (this.#known.size < maxKnown) this.#known.add(planId);
      this.#options.logger.warn(
        { err: error, plan_id: planId },
        "nothing can be written of a plan now: its tasks wait until their claims end",
      );
    }
  }
}

/** What is known to have failed in the database, so that nothing of it was committed. A lost answer proves nothing, nor does a bug. */
function provesNothingWritten(error: unknown): boolean {
  switch (classifyError(error).kind) {
    case "conflict":
    case "unique_violation":
    case "serialization":
    case "timeout":
      return true;
    case "unavailable":
    case "disk_full":
      return false;
    case "other":
      // A value that the server refuses. FATAL, or an error of our own, may have come after the commit.
      return error instanceof Error && Reflect.get(error, "severity") === "ERROR";
  }
}
