import type { StoredReservation } from "../store/stored-agent.ts";

/** The ids by which logs are followed. */
export function idsOf(reservation: StoredReservation): {
  readonly attempt_id: string;
  readonly agent_id: string;
  readonly task_id: string;
  readonly plan_id: string;
} {
  const { attemptId, agentId, taskId, planId } = reservation;
  return { attempt_id: attemptId, agent_id: agentId, task_id: taskId, plan_id: planId };
}
