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

/** Throws PLAN_NOT_FOUND. */
export async function wholePlan(store: OrchestratorStore, planId: string): Promise<wire.Plan> {
  // The plan first: of one that had ended then, every task has too.
  const plan = await store.getPlan(planId);
  if (plan === null) throw planNotFound(planId);
  return planToWire(plan, await store.planTasks(planId));
}
