import { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { planToWire } from "../present/plan-to-wire.ts";
import type { OrchestratorStore } from "../store/port.ts";
import type { HandlerDeps } from "./deps.ts";
import { planNotFound } from "./not-found.ts";

/** One plan with its tasks. */
export function getPlan({ store }: HandlerDeps): UnaryHandler<wire.GetPlanRequest, wire.GetPlanResponse> {
  return async ({ planId }) => wire.GetPlanResponse.fromPartial({ plan: await wholePlan(store, planId.toLowerCase()) });
}

/**
 * The plan after a change, for an answer that always fits: a caller must not hear of an error what has been committed. Tasks that would make it
 * longer than a message may be are left out. Throws PLAN_NOT_FOUND.
 */
export async function planAfterwards(store: OrchestratorStore, planId: string): Promise<wire.Plan> {
  const plan = await wholePlan(store, planId);
  return wire.Plan.encode(plan).finish().length <= longestPlanBytes ? plan : { ...plan, tasks: [] };
}

/** What a message of 16 MiB has place for beside the plan's own figures. */
const longestPlanBytes = 16 * 1_048_576 - 1_024;

/** Throws PLAN_NOT_FOUND. */
export async function wholePlan(store: OrchestratorStore, planId: string): Promise<wire.Plan> {
  // The plan first: of one that had ended then, every task has too.
  const plan = await store.getPlan(planId);
  if (plan === null) throw planNotFound(planId);
  return planToWire(plan, await store.planTasks(planId));
}
