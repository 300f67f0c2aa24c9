import type { Counter, Logger } from "@headroom/runtime";
import type { AppliedVerdict, FencedAttempt } from "../store/model.ts";
import type { Releaser } from "../placing/placer.ts";

export interface SettlementOptions {
  readonly releaser: Releaser;
  readonly wakeLoop: (cause: string) => void;
  readonly planChanged: (planId: string) => void;
  readonly attemptChanged: (attemptId: string) => void;
  readonly metrics: { readonly attempts: Counter<"result">; readonly refused: Counter };
}

export interface EndedAttempt extends FencedAttempt {
  readonly agentId: string;
  /** The registry was told already, when its agent said that it had ended. */
  readonly isRoomGivenBack?: boolean;
}

/** Tells everybody of an attempt's end, after it was committed: the registry, the loop, whoever watches, the log. */
export type Settle = (attempt: EndedAttempt, applied: AppliedVerdict, cause: string, logger: Logger) => void;

export function createSettle(options: SettlementOptions): Settle {
  const { releaser, metrics } = options;
  return (attempt, { verdict, planId, taskId, released }, cause, logger) => {
    const about = { plan_id: planId, task_id: taskId, attempt_id: attempt.attemptId, agent_id: attempt.agentId };
    // Of every kind: whoever committed it first may have died before it gave the room back.
    if (attempt.isRoomGivenBack !== true) releaser.release([attempt], cause);
    switch (verdict.kind) {
      case "repeat":
        return;
      case "refused":
        metrics.refused.inc();
        logger.warn({ ...about, sentence: verdict.sentence }, "a result was refused");
        return;
      case "final":
        metrics.attempts.inc({ result: verdict.attemptState });
        logger.info({ ...about, state: verdict.taskState, sentence: verdict.sentence }, `task ${verdict.taskState}`);
        break;
      case "requeue":
        metrics.attempts.inc({ result: verdict.attemptState });
        logger.info(
          { ...about, reason: verdict.reason, sentence: verdict.sentence, resume_after_ms: verdict.resumeAfterMs },
          "task paused",
        );
        break;
    }
    options.planChanged(planId);
    options.attemptChanged(attempt.attemptId);
    // The room is heard of from the registry as soon as it is there; looking before would find none. Work that comes (back) to the
    // queue is news, also when it comes later: the loop then sets its timer for it.
    if (verdict.kind === "requeue" || released > 0) options.wakeLoop(cause);
  };
}
