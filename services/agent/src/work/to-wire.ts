import {
  attemptOutcomeWire,
  durationFromMs,
  gbFromMib,
  outputStreamWire,
  timestampFromMs,
  wire,
} from "@headroom/contracts";
import type { OutputPiece } from "../output/output-spool.ts";
import type { HeldAttempt } from "./held-attempt.ts";

/** An attempt as a hello or a renewal names it. */
export function toWireHeld(attempt: HeldAttempt): wire.HeldAttempt {
  return { attemptId: attempt.attemptId, fence: attempt.fence, finished: attempt.result !== null };
}

/** null: it has not started. */
export function toWireStarted(attempt: HeldAttempt): wire.AttemptStarted | null {
  const { attemptId, fence, pid, startedAtMs } = attempt;
  return pid === null || startedAtMs === null
    ? null
    : { attemptId, fence, pid, startedAt: timestampFromMs(startedAtMs) };
}

/** null: it has not ended. */
export function toWireFinished(attempt: HeldAttempt): wire.AttemptFinished | null {
  const { attemptId, fence, result } = attempt;
  if (result === null) return null;
  return wire.AttemptFinished.fromPartial({
    attemptId,
    fence,
    outcome: attemptOutcomeWire.toWire(result.outcome),
    // Windows tells of a crash as an unsigned number, 0xC0000005; as a signed one it is the same 32 bits.
    ...(result.exitCode === null ? {} : { exitCode: result.exitCode | 0 }),
    signal: result.signal,
    sentence: result.sentence,
    ...(result.startedAtMs === null ? {} : { startedAt: timestampFromMs(result.startedAtMs) }),
    finishedAt: timestampFromMs(result.finishedAtMs),
    used: {
      cpuSeconds: result.used.cpuMs / 1_000,
      memoryPeakGb: gbFromMib(result.used.memoryPeakMib),
      gpuVramPeakGb: gbFromMib(result.used.vramPeakMib),
      wallTime: durationFromMs(Math.max(0, result.finishedAtMs - (result.startedAtMs ?? result.finishedAtMs))),
    },
    lastOutputSeq: result.lastOutputSeq,
  });
}

export function toWireOutput(attemptId: string, fence: number, piece: OutputPiece): wire.AttemptOutput {
  const { seq, source, data, atMs } = piece;
  return { attemptId, fence, seq, stream: outputStreamWire.toWire(source), data, at: timestampFromMs(atMs) };
}
