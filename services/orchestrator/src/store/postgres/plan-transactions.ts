import { classifyError, type Database, type DatabaseErrorKind, type Transaction } from "@headroom/postgres";
import { lockPlan } from "./lock-plans.ts";

const waitedFor: ReadonlySet<DatabaseErrorKind> = new Set(["conflict", "timeout", "unavailable"]);

/**
 * Transactions that somebody asks for, each about one plan, which is locked in it. Of this process one at a time for each plan: where somebody else keeps the plan
 * locked they would wait for it side by side, until they have every connection of the pool.
 */
export class PlanTransactions {
  readonly #db: Database;
  /** The last one of each plan that has some; rejects where the next one would wait in vain for as long. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** Throws `PlanLockedError`, or whatever else whoever was before it has waited for in vain. */
  async run<Result>(planId: string, body: (tx: Transaction) => Promise<Result>): Promise<Result> {
    const before = this.#last.get(planId);
    const result = this.#runAfter(before, planId, body);
    const last = result.then(
      () => undefined,
      (error: unknown) => {
        if (waitedFor.has(classifyError(error).kind)) throw error;
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
