import { amountsFromWire, msFromDuration, type AttemptOutcome, type wire } from "@headroom/contracts";
import type { Amounts } from "@headroom/scheduling";

/** An assignment as the agent works with it: checked, in integer units. */
export interface AssignedWork {
  readonly attemptId: string;
  readonly fence: number;
  readonly taskId: string;
  readonly planId: string;
  readonly taskName: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** "" means a fresh folder. */
  readonly workingDir: string;
  /** What is promised to it. */
  readonly reserved: Amounts;
  readonly cardIndexes: readonly number[];
  /** null: no limit. */
  readonly runTimeoutMs: number | null;
  readonly workLeaseMs: number;
  /** null: no limit was stated. */
  readonly acceptWithinMs: number | null;
}

/** DESIGN 5: the work lease is 5 minutes unless the task says otherwise. */
const defaultWorkLeaseMs = 300_000;

/** Reads an assignment off the wire. */
export function assignedWork(assignment: wire.Assignment): AssignedWork {
  const { command, amounts } = assignment;
  return {
    attemptId: assignment.attemptId,
    fence: assignment.fence,
    taskId: assignment.taskId,
    planId: assignment.planId,
    taskName: assignment.taskName,
    argv: command?.argv ?? [],
    env: command?.env ?? {},
    workingDir: command?.workingDir ?? "",
    reserved: amountsFromWire(amounts),
    cardIndexes: assignment.cardIndexes,
    runTimeoutMs: msFromDuration(assignment.runTimeout),
    workLeaseMs: msFromDuration(assignment.workLease) ?? defaultWorkLeaseMs,
    acceptWithinMs: msFromDuration(assignment.acceptWithin),
  };
}

/** What an attempt used from start to end. */
export interface TotalUse {
  readonly cpuMs: number;
  readonly memoryPeakMib: number;
  readonly vramPeakMib: number;
}

/** The end of an attempt. */
export interface AttemptResult {
  readonly outcome: AttemptOutcome;
  readonly exitCode: number | null;
  readonly signal: string;
  readonly sentence: string;
  /** null: it never started. */
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number;
  readonly used: TotalUse;
  readonly lastOutputSeq: number;
}
