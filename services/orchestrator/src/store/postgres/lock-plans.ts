import { defineStatement, type Transaction } from "@headroom/postgres";

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
