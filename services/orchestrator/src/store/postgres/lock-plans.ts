import { classifyError, defineStatement, type Transaction } from "@headroom/postgres";
import { PlanLockedError } from "../plan-locked.ts";
import { waitBriefly } from "./lock-wait.ts";

const lockPlansStatement = defineStatement<{ readonly plan_id: string }>({
  name: "plans_lock",
  text: `
    SELECT plan_id FROM plans
     WHERE plan_id = ANY($1::uuid[])
     ORDER BY plan_id
       FOR NO KEY UPDATE`,
});

/**
 * Whatever changes tasks of a plan and writes events locks the plan first, plans in the order of their ids. So two such
 * transactions never deadlock, and a plan's events are numbered in the order in which they were committed: a watcher
 * that has seen event n never misses one below n.
 */
export async function lockPlans(tx: Transaction, planIds: Iterable<string>): Promise<void> {
  await tx.query(lockPlansStatement, [[...new Set(planIds)]]);
}

/**
 * For what somebody asks of one plan. Throws `PlanLockedError` when somebody else keeps it locked: such calls would wait for the same lock one after the other
 * until they have every connection of the pool.
 */
export async function lockPlan(tx: Transaction, planId: string): Promise<void> {
  await waitBriefly(tx);
  try {
    await lockPlans(tx, [planId]);
  } catch (error) {
    throw classifyError(error).kind === "conflict" ? new PlanLockedError(planId, error) : error;
  }
}
