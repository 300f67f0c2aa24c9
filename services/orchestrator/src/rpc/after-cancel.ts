import type { CancelOutcome } from "../store/port.ts";
import type { HandlerDeps } from "./deps.ts";

/** The cancellation is committed: tells agents, registry and watchers. Whoever is not reached finds it by looking. */
export function afterCancel(deps: HandlerDeps, planId: string, outcome: CancelOutcome, reason: string): void {
  for (const attempt of outcome.running) deps.sessions.cancel(attempt, reason === "" ? "cancelled on request" : reason);
  if (outcome.takenBack.length > 0) deps.releaser.release(outcome.takenBack, "cancelled");
  deps.hub.changed(planId);
  for (const { attemptId } of outcome.takenBack) deps.hub.changed(attemptId);
  deps.loop.wake("cancelled");
}
