import type { Database, Transaction } from "@headroom/postgres";
import { PlanLockedError } from "../plan-locked.ts";
import { lockPlan } from "./lock-plans.ts";

/**
 * Transactions that somebody asks for, each about one plan, which is locked in it. Of this process one at a time for each plan: where somebody else keeps the plan
 * locked they would wait for it side by side, until they have every connection of the pool.
 */
export class PlanTransactions {
  readonly #db: Database;
  /** The last one of each plan that has some; rejects where the plan is locked. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** Throws `PlanLockedError` when the plan is locked for whoever was before it, too. */
  async run<Result>(planId: string, body: (tx: Transaction) => Promise<Result>): Promise<Result> {
    const before = this.#last.get(planId);
    const result = this.#runAfter(before, planId, body);
    const last = result.then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof PlanLockedError) throw error;
      },
    );
    // Mostly nobody comes behind it.
    last.catch(() => undefined);
    this.#last.set(planId, last);
    try {
      return await result;
    } finally {
      if (this.#last.get(planId) === last) this.#last.delete(planId);
    }
  }

  async #runAfter<Result>(
    before: Promise<void> | undefined,
    planId: string,
    body: (tx: Transaction) => Promise<Result>,
  ): Promise<Result> {
    await before;
    return this.#db.transaction(async (tx) => {
      await lockPlan(tx, planId);
      return body(tx);
    });
  }
}
