/** Messages of the work stream: ours to the wire, the agent's from it. */
import {
  amountsToWire,
  attemptOutcomeWire,
  commandToWire,
  durationFromMs,
  durationFromMsOrNull,
  type FromWire,
  MAX_UNITS,
  mibFromGbRequested,
  msFromDuration,
  msFromTimestamp,
  outputStreamWire,
  wire,
} from "@headroom/contracts";
import type { AssignmentToSend, AttemptResult, FencedAttempt, MeasuredUse, OutputChunk } from "../store/model.ts";

export type ToAgent = wire.AttachResponse;

export function assignmentMessage(assignment: AssignmentToSend): ToAgent {
  const value = wire.Assignment.fromPartial({
    attemptId: assignment.attemptId,
    fence: assignment.fence,
    taskId: assignment.taskId,
    planId: assignment.planId,
    taskName: assignment.taskName,
    command: commandToWire(assignment.command),
    amounts: amountsToWire(assignment.amounts),
    runTimeout: durationFromMsOrNull(assignment.runTimeoutMs),
    workLease: durationFromMs(assignment.workLeaseMs),
    acceptWithin: durationFromMs(assignment.acceptWithinMs),
    cardIndexes: [...assignment.cardIndexes],
  });
  return { message: { $case: "assignment", value } };
}

export function welcomeMessage(
  instance: string,
  renewIntervalMs: number,
  unwantedAttemptIds: readonly string[],
): ToAgent {
  const value = wire.AttachWelcome.fromPartial({
    orchestratorInstance: instance,
    renewInterval: durationFromMs(renewIntervalMs),
    unwantedAttemptIds: [...unwantedAttemptIds],
    takesReports: true,
  });
  return { message: { $case: "welcome", value } };
}

export function cancelMessage(attempt: FencedAttempt, reason: string): ToAgent {
  const value = wire.CancelAttempt.fromPartial({ attemptId: attempt.attemptId, fence: attempt.fence, reason });
  return { message: { $case: "cancel", value } };
}

export function renewedMessage(attemptIds: readonly string[], unwantedAttemptIds: readonly string[]): ToAgent {
  const value = wire.LeasesRenewed.fromPartial({
    attemptIds: [...attemptIds],
    unwantedAttemptIds: [...unwantedAttemptIds],
  });
  return { message: { $case: "renewed", value } };
}

export function finishedAckMessage(attemptId: string, refused: boolean): ToAgent {
  return { message: { $case: "finishedAck", value: wire.FinishedAck.fromPartial({ attemptId, refused }) } };
}

export function outputAckMessage(attemptId: string, seq: number): ToAgent {
  return { message: { $case: "outputAck", value: wire.OutputAck.fromPartial({ attemptId, seq }) } };
}

export function reconnectMessage(withinMs: number): ToAgent {
  return {
    message: { $case: "reconnect", value: wire.AttachReconnect.fromPartial({ within: durationFromMs(withinMs) }) },
  };
}

export function resultFromWire(finished: wire.AttemptFinished, agentId: string): FromWire<AttemptResult> {
  const outcome = attemptOutcomeWire.fromWire(finished.outcome, "finished.outcome");
  if (outcome.kind === "invalid") return outcome;
  return {
    kind: "ok",
    value: {
      attemptId: finished.attemptId.toLowerCase(),
      fence: finished.fence,
      agentId,
      outcome: outcome.value,
      exitCode: finished.exitCode ?? null,
      signal: finished.signal,
      sentence: finished.sentence,
      startedAtMs: timeFromWire(finished.startedAt),
      finishedAtMs: timeFromWire(finished.finishedAt),
      used: finished.used === undefined ? null : useFromWire(finished.used),
      lastOutputSeq: isAmount(finished.lastOutputSeq, Number.MAX_SAFE_INTEGER) ? finished.lastOutputSeq : 0,
    },
  };
}

/** No run is longer than this, in seconds of time or of CPU: 10,000 years, beyond which JSON cannot write a Duration. */
const longestSeconds = 315_576_000_000;

/** A figure that cannot be is taken for zero: a result is not lost for what was measured beside it. */
function useFromWire({ cpuSeconds, memoryPeakGb, gpuVramPeakGb, wallTime }: wire.MeasuredUse): MeasuredUse {
  const wallTimeMs = msFromDuration(wallTime) ?? 0;
  return {
    cpuSeconds: isAmount(cpuSeconds, longestSeconds) ? cpuSeconds : 0,
    memoryPeakMib: isAmount(memoryPeakGb, MAX_UNITS / 1_024) ? mibFromGbRequested(memoryPeakGb) : 0,
    gpuVramPeakMib: isAmount(gpuVramPeakGb, MAX_UNITS / 1_024) ? mibFromGbRequested(gpuVramPeakGb) : 0,
    wallTimeMs: isAmount(wallTimeMs, longestSeconds * 1_000) ? wallTimeMs : 0,
  };
}

/** The end of the year 9999, beyond which RFC 3339 cannot write a time. */
const latestMs = 253_402_300_799_999;

/** When, by an agent's clock; null when it does not say, or says what cannot be: before 1970 or after 9999. */
export function timeFromWire(at: Parameters<typeof msFromTimestamp>[0]): number | null {
  const ms = msFromTimestamp(at);
  return ms !== null && isAmount(ms, latestMs) ? ms : null;
}

/** NaN is none. */
function isAmount(figure: number, most: number): boolean {
  return figure >= 0 && figure <= most;
}

export function chunkFromWire(output: wire.AttemptOutput, nowMs: number): FromWire<OutputChunk> {
  const stream = outputStreamWire.fromWire(output.stream, "output.stream");
  if (stream.kind === "invalid") return stream;
  const chunk: OutputChunk = {
    seq: output.seq,
    stream: stream.value,
    atMs: timeFromWire(output.at) ?? nowMs,
    data: output.data,
  };
  return { kind: "ok", value: chunk };
}
