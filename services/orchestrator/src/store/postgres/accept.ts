import { classifyError, type Database, defineStatement, isAboutDatabase, type Queryable } from "@headroom/postgres";
import { unavailable } from "@headroom/rpc";
import { Grouped } from "@headroom/runtime";
import type { AcceptOutcome, NewPlan } from "../model.ts";
import type { Claimer } from "../port.ts";
import { insertPlans, type PlanToInsert } from "./insert-plans.ts";

/**
 * Found means acknowledged, so it has to be as durable as an acceptance. A primary that crashed and came back shows what it had not yet
 * been allowed to call committed, as no standby had it; a plain read would answer with that. The lock makes the look a transaction whose
 * end waits for the standby, and costs nothing where nothing is found.
 */
const findRequestStatement = defineStatement<{ readonly plan_id: string; readonly request_hash: string }>({
  name: "plans_find_request",
  text: `SELECT plan_id, request_hash FROM plans WHERE request_id = $1 FOR KEY SHARE`,
});

const findTaskIds = defineStatement<{ readonly task_id: string }>({
  name: "tasks_find_ids",
  text: `SELECT task_id FROM tasks WHERE task_id = ANY($1::uuid[]) ORDER BY task_id LIMIT 100`,
});

export async function findRequest(
  db: Queryable,
  requestId: string,
): Promise<{ readonly planId: string; readonly requestHash: string } | null> {
  const [row] = await db.query(findRequestStatement, [requestId]);
  return row === undefined ? null : { planId: row.plan_id, requestHash: row.request_hash };
}

/** Plans of more tasks than this gain nothing from company, and would keep it waiting. */
const mostTasksInCompany = 50;
const mostPlansTogether = 40;
const mostPlansWaiting = 10_000;

export type AcceptPlan = (plan: NewPlan, claimer: Claimer, claimLimit: number) => Promise<AcceptOutcome>;

/**
 * Step 1 of DESIGN 5: the plan, its tasks, their dependencies and pause rows, in one transaction. Small plans that come while another
 * one is being committed are committed together; what is wrong with one of them is not held against the others.
 */
export function createAcceptPlan(db: Database): AcceptPlan {
  const insert = async (plans: readonly PlanToInsert[]): Promise<readonly AcceptOutcome[]> =>
    (await insertPlans(db, plans)).map((claimed): AcceptOutcome => ({ kind: "accepted", claimed }));
  const groups = new Grouped<PlanToInsert, AcceptOutcome>({
    max: mostPlansTogether,
    maxWaiting: mostPlansWaiting,
    makeBusyError: () =>
      unavailable("DATABASE_BUSY", "more plans wait than the database takes; hand them over again in a moment", 1_000),
    isForAll: isAboutDatabase,
    run: async (plans) =>
      (await insert(plans)).map((value): PromiseFulfilledResult<AcceptOutcome> => ({ status: "fulfilled", value })),
  });
  return async (plan, claimer, claimLimit) => {
    const given: PlanToInsert = { plan, claimer, claimLimit };
    try {
      if (plan.tasks.length <= mostTasksInCompany) return await groups.submit(given);
      const [outcome] = await insert([given]);
      if (outcome === undefined) throw new Error("a plan was neither accepted nor refused");
      return outcome;
    } catch (error) {
      if (classifyError(error).kind !== "unique_violation") throw error;
      return await explainDuplicate(db, plan, error);
    }
  };
}

/** Somebody committed the same request, or a task of the same id. */
async function explainDuplicate(db: Database, plan: NewPlan, error: unknown): Promise<AcceptOutcome> {
  const earlier = plan.requestId === null ? null : await findRequest(db, plan.requestId);
  if (earlier !== null) {
    return { kind: "request_id_used", planId: earlier.planId, samePlan: earlier.requestHash === plan.requestHash };
  }
  const taken = await db.query(findTaskIds, [plan.tasks.map((task) => task.taskId)]);
  if (taken.length === 0) throw error;
  return { kind: "task_ids_exist", taskIds: taken.map((row) => row.task_id) };
}
