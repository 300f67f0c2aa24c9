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
    ...(result.exitCode === null ? {} : { exitCode: signed32(result.exitCode) }),
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

/** What can be encoded whatever the result holds, with an exit code that counts; null: it has not ended. */
export function toWireFinishedInShort(attempt: HeldAttempt, nowMs: number): wire.AttemptFinished | null {
  const { attemptId, fence, result } = attempt;
  if (result === null) return null;
  const exitCode = signed32(result.exitCode ?? Number.NaN);
  return wire.AttemptFinished.fromPartial({
    attemptId,
    fence,
    outcome: attemptOutcomeWire.toWire(result.outcome),
    // Without its code a command that ended well would be taken for failed, and run again.
    ...(Number.isInteger(exitCode) && Math.abs(exitCode) < 2 ** 31 ? { exitCode } : {}),
    sentence: "more of its result than this could not be sent; see the agent's log",
    finishedAt: timestampFromMs(nowMs),
    lastOutputSeq: attempt.spool.lastSeq,
  });
}

/**
 * Windows gives the code of a crash without a sign (0xC0000005 as 3221225477), the contract has an int32 for it. The same 32 bits with one are
 * what %ERRORLEVEL% shows there (-1073741819).
 */
function signed32(exitCode: number): number {
  return exitCode >= 2 ** 31 && exitCode < 2 ** 32 ? exitCode - 2 ** 32 : exitCode;
}

export function toWireOutput(attemptId: string, fence: number, piece: OutputPiece): wire.AttemptOutput {
  const { seq, source, data, atMs } = piece;
  return { attemptId, fence, seq, stream: outputStreamWire.toWire(source), data, at: timestampFromMs(atMs) };
}
