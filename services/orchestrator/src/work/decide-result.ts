import type { AttemptOutcome } from "@headroom/contracts";
import {
  type AttemptEvent,
  attemptStep,
  type Backoff,
  backoffMs,
  type PauseReason,
  type TaskEvent,
  taskStep,
} from "@headroom/scheduling";
import type { AttemptResult, AttemptSituation, AttemptVerdict, DecideAttempt } from "../store/model.ts";

/** Between the first failure and the next run at most a second, later at most five minutes. */
export const retryBackoff: Backoff = { baseMs: 1_000, maxMs: 300_000 };

/** `random` is in [0, 1). Of a result that is refused the history keeps what it said: somebody may have to know what was done. */
export function decideResult(result: AttemptResult, random: number): DecideAttempt {
  const decide = decideCounted(result, random);
  return (situation) => {
    const verdict = decide(situation);
    return verdict.kind === "refused" ? refused(`${verdict.sentence}; it said: ${outcomeSentence(result)}`) : verdict;
  };
}

function decideCounted(result: AttemptResult, random: number): DecideAttempt {
  return (situation) => {
    if (situation.attemptFence !== result.fence) {
      return refused(`the result has fence ${result.fence}, the attempt ${situation.attemptFence}`);
    }
    const succeeded = result.outcome === "exited" && result.exitCode === 0;
    const wasCancelled = result.outcome === "cancelled" && situation.cancelRequested;
    const attemptEvent: AttemptEvent = succeeded ? "succeeded" : wasCancelled ? "cancelled" : "failed";
    const step = attemptStep(situation.attemptState, attemptEvent);
    if (step.kind === "rejected") {
      if (step.reason === "SUPERSEDED") return refused(`the attempt was given up before (${situation.attemptState})`);
      return { kind: "repeat" };
    }
    if (situation.superseded) return refused("another attempt of the task is in force");
    const sentence = outcomeSentence(result);
    if (succeeded) return end(situation, "succeeded", step.to, "TASK_SUCCEEDED", sentence);
    if (wasCancelled) return end(situation, "cancelled", step.to, "TASK_CANCELLED", sentence);
    if (result.outcome === "agent_restarted" && holds(situation)) {
      return end(situation, "failed_final", step.to, "TASK_FAILED", `${sentence}; ${HELD}`);
    }
    const mayRetry = mayRunAgain(result.outcome, situation);
    if (!mayRetry)
      return end(situation, "failed_final", step.to, "TASK_FAILED", withAttempts(sentence, result.outcome, situation));
    return requeue(situation, "failed_retryable", {
      attemptState: step.to,
      eventKind: "TASK_ATTEMPT_FAILED",
      reason: "RETRY_BACKOFF",
      sentence: `${sentence}; it is tried again`,
      resumeAfterMs: backoffMs(situation.runsUsed, retryBackoff, random),
      // The owner took the machine back, the agent was drained or stopped: not the task's fault, however often it happens.
      runGivenBack: result.outcome === "evicted",
    });
  };
}

/** It certainly never ran. `random` is not needed: another agent may take it at once, unless `reason` is that it is held. */
export function decideUndelivered(
  why: string,
  reason: Extract<PauseReason, "DELIVERY_FAILED" | "HELD"> = "DELIVERY_FAILED",
): DecideAttempt {
  return (situation) => {
    const step = attemptStep(situation.attemptState, "delivery_failed");
    if (step.kind === "rejected" || situation.superseded) return { kind: "repeat" };
    return requeue(situation, "delivery_failed", {
      attemptState: step.to,
      eventKind: "TASK_NOT_DELIVERED",
      reason,
      sentence: why,
      resumeAfterMs: null,
      runGivenBack: true,
    });
  };
}

/** Its lease ended without a word: nobody knows what became of it. */
export function decideLost(random: number): DecideAttempt {
  return (situation) => {
    const step = attemptStep(situation.attemptState, "lost");
    if (step.kind === "rejected" || situation.superseded) return { kind: "repeat" };
    const sentence = "its agent did not renew its lease in time, and what became of it is unknown";
    if (holds(situation)) return end(situation, "attempts_exhausted", step.to, "TASK_FAILED", `${sentence}; ${HELD}`);
    if (situation.runsUsed >= situation.maxAttempts && !situation.cancelRequested) {
      return end(
        situation,
        "attempts_exhausted",
        step.to,
        "TASK_FAILED",
        `${sentence}; that was run ${situation.runsUsed} of ${situation.maxAttempts}`,
      );
    }
    return requeue(situation, "lost", {
      attemptState: step.to,
      eventKind: "TASK_LOST",
      reason: "RETRY_BACKOFF",
      sentence: `${sentence}; a new attempt follows`,
      resumeAfterMs: backoffMs(situation.runsUsed, retryBackoff, random),
      runGivenBack: false,
    });
  };
}

const HELD =
  "it is not run again by itself (on_unknown_outcome: hold): see what it has done, then run it again with headroom plan retry";

/** Whoever asked to cancel it wants no other run anyway. */
function holds({ holdUnknown, cancelRequested }: AttemptSituation): boolean {
  return holdUnknown && !cancelRequested;
}

/** By reason: what the command did itself is tried again only on request, what happened to it always. */
function mayRunAgain(outcome: AttemptOutcome, situation: AttemptSituation): boolean {
  if (outcome === "evicted") return true;
  if (situation.runsUsed >= situation.maxAttempts) return false;
  switch (outcome) {
    case "exited":
    case "signaled":
    case "timed_out":
    case "spawn_failed":
      return situation.retryOnFailure;
    case "agent_restarted":
    case "lease_expired":
    // Not by us: the agent's owner ended it.
    case "cancelled":
      return true;
  }
}

function end(
  situation: AttemptSituation,
  event: TaskEvent,
  attemptState: Extract<AttemptVerdict, { kind: "final" }>["attemptState"],
  eventKind: string,
  sentence: string,
): AttemptVerdict {
  const step = taskStep(situation.taskState, event, situation.cancelRequested);
  if (step.kind === "rejected") return refused(`the task is ${situation.taskState} already`);
  if (step.to === "succeeded" || step.to === "failed" || step.to === "cancelled") {
    return { kind: "final", attemptState, taskState: step.to, eventKind, sentence };
  }
  throw new Error(`the event ${event} does not end a task that is ${situation.taskState}`);
}

type Requeue = Extract<AttemptVerdict, { kind: "requeue" }>;

/** Back to the queue, unless somebody asked to cancel the task. */
function requeue(situation: AttemptSituation, event: TaskEvent, how: Omit<Requeue, "kind">): AttemptVerdict {
  const step = taskStep(situation.taskState, event, situation.cancelRequested);
  if (step.kind === "rejected") return refused(`the task is ${situation.taskState} already`);
  if (step.to === "cancelled") {
    return {
      kind: "final",
      attemptState: how.attemptState,
      taskState: "cancelled",
      eventKind: "TASK_CANCELLED",
      sentence: "cancelled on request",
    };
  }
  // `lost` is passed through in the same transaction: the new attempt waits at once.
  const next = step.to === "lost" ? taskStep("lost", "requeued", false) : step;
  if (next.kind === "moved" && next.to === "paused") return { kind: "requeue", ...how };
  throw new Error(`the event ${event} does not queue a task that is ${situation.taskState}`);
}

function refused(sentence: string): AttemptVerdict {
  return { kind: "refused", sentence };
}

function withAttempts(
  sentence: string,
  outcome: AttemptOutcome,
  { runsUsed, maxAttempts, retryOnFailure }: AttemptSituation,
): string {
  const counts =
    retryOnFailure || outcome === "agent_restarted" || outcome === "lease_expired" || outcome === "cancelled";
  return counts ? `${sentence}; that was run ${runsUsed} of ${maxAttempts}` : sentence;
}

/** What happened, and what the agent says of it; the agent often begins with the same words. */
function outcomeSentence(result: AttemptResult): string {
  const { sentence } = result;
  const happened = outcomeText(result);
  if (sentence === "") return happened;
  return sentence.startsWith(happened) ? sentence : `${happened}: ${sentence}`;
}

function outcomeText(result: AttemptResult): string {
  switch (result.outcome) {
    case "exited":
      return `the command ended with code ${result.exitCode ?? "unknown"}`;
    case "signaled":
      return `the command was ended by ${result.signal === "" ? "a signal" : result.signal}`;
    case "timed_out":
      return "it ran longer than its run_timeout";
    case "cancelled":
      return "it was cancelled";
    case "spawn_failed":
      return "the command could not be started";
    case "agent_restarted":
      return "the agent program was restarted while it ran";
    case "lease_expired":
      return "the agent could not renew its lease and ended it";
    case "evicted":
      return "its agent ended it before its time";
  }
}
