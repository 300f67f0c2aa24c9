import {
  amountsToWire,
  attemptStateWire,
  durationFromMs,
  durationFromMsOrNull,
  gbFromMib,
  needsToWire,
  pauseReasonWire,
  taskStateWire,
  timestampFromMs,
  timestampFromMsOrNull,
  wire,
} from "@headroom/contracts";
import type { AttemptRecord, MeasuredUse, PausedTaskRecord, PauseRecord, TaskRecord } from "../store/model.ts";

export function taskToWire(task: TaskRecord): wire.Task {
  return wire.Task.fromPartial({
    taskId: task.taskId,
    planId: task.planId,
    name: task.name,
    state: taskStateWire.toWire(task.state),
    priority: task.priority,
    needs: needsToWire(task.needs),
    argv: [...task.argv],
    dependsOn: [...task.dependsOn],
    createdAt: timestampFromMs(task.createdAtMs),
    finishedAt: timestampFromMsOrNull(task.finishedAtMs),
    attempts: task.attempts.map(attemptToWire),
    pause: task.pause === null ? undefined : pauseToWire(task.pause),
    outcomeReason: task.outcomeReason,
    outcomeCode: task.outcomeCode,
    waitTimeout: durationFromMsOrNull(task.waitTimeoutMs),
    expectedDuration: durationFromMsOrNull(task.expectedDurationMs),
    maxAttempts: task.maxAttempts,
    onUnknownOutcome: task.holdUnknown
      ? wire.UnknownOutcomePolicy.UNKNOWN_OUTCOME_POLICY_HOLD
      : wire.UnknownOutcomePolicy.UNKNOWN_OUTCOME_POLICY_RETRY,
    cancelRequested: task.cancelRequested,
  });
}

export function pausedTaskToWire(task: PausedTaskRecord): wire.PausedTask {
  return wire.PausedTask.fromPartial({
    taskId: task.taskId,
    planId: task.planId,
    taskName: task.taskName,
    planName: task.planName,
    priority: task.priority,
    pause: pauseToWire(task.pause),
    needs: needsToWire(task.needs),
  });
}

function pauseToWire(pause: PauseRecord): wire.PauseInfo {
  return wire.PauseInfo.fromPartial({
    pauseQueueId: pause.pauseQueueId,
    reason: pauseReasonWire.toWire(pause.reason),
    sentence: pause.sentence,
    pausedAt: timestampFromMs(pause.pausedAtMs),
    resumeAfter: timestampFromMsOrNull(pause.resumeAfterMs),
    lastChecked: timestampFromMsOrNull(pause.lastCheckedMs),
    waitDeadline: timestampFromMsOrNull(pause.waitDeadlineMs),
  });
}

function attemptToWire(attempt: AttemptRecord): wire.Attempt {
  return wire.Attempt.fromPartial({
    attemptId: attempt.attemptId,
    agentId: attempt.agentId,
    number: attempt.number,
    fence: attempt.fence,
    state: attemptStateWire.toWire(attempt.state),
    assignedAt: timestampFromMs(attempt.assignedAtMs),
    startedAt: timestampFromMsOrNull(attempt.startedAtMs),
    finishedAt: timestampFromMsOrNull(attempt.finishedAtMs),
    exitCode: attempt.exitCode ?? undefined,
    signal: attempt.signal,
    reason: attempt.reason,
    used: attempt.used === null ? undefined : useToWire(attempt.used),
    reserved: amountsToWire(attempt.reserved),
  });
}

function useToWire(used: MeasuredUse): wire.MeasuredUse {
  return wire.MeasuredUse.fromPartial({
    cpuSeconds: used.cpuSeconds,
    memoryPeakGb: gbFromMib(used.memoryPeakMib),
    gpuVramPeakGb: gbFromMib(used.gpuVramPeakMib),
    wallTime: durationFromMs(used.wallTimeMs),
  });
}
