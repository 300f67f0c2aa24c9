import type { Timer } from "@headroom/runtime";
import type { Amounts } from "@headroom/scheduling";
import type { AttemptOutcome } from "@headroom/contracts";
import type { AssignedWork, AttemptResult, Ending } from "../attempt.ts";
import type { OutputSpool } from "../output/output-spool.ts";
import type { Run } from "../runner/runner.ts";
import type { Lease } from "./lease.ts";

/** Why the agent ends an attempt before it ends by itself. */
export type EndCause = Extract<AttemptOutcome, "timed_out" | "cancelled" | "lease_expired" | "evicted">;

/** The contract's bound on AttachHello.attempts: with more of them every hello would be refused, and none ever acknowledged. */
export const maxHeldAttempts = 4_096;

/** One attempt that the agent answers for, from the assignment to the acknowledgement of its result. */
export interface HeldAttempt {
  readonly attemptId: string;
  fence: number;
  readonly taskId: string;
  readonly planId: string;
  readonly reserved: Amounts;
  readonly spool: OutputSpool;
  /** Resolves true once the journal has it; false: it could not be taken. */
  accepted: Promise<boolean>;
  isAccepted: boolean;
  /** Of this program, or of an earlier one; null: not started. */
  pid: number | null;
  startedAtMs: number | null;
  /** Identity of the first process of an earlier agent program; null for our own. */
  leftoverToken: string | null;
  /** How its program had ended before the earlier agent program did; null: not known, or of our own. */
  exit: Ending | null;
  run: Run | null;
  lease: Lease;
  endCause: { readonly outcome: EndCause; readonly sentence: string; readonly graceMs: number } | null;
  timeout: Timer | null;
  result: AttemptResult | null;
  /** Resolves when the result stands in the journal. */
  readonly finished: Promise<void>;
  readonly markFinished: () => void;
  /** Resolves when the result was acknowledged or refused. */
  readonly acked: Promise<void>;
  readonly markAcked: () => void;
}

/** Of an attempt that may have been acknowledged, what sends its output: only under its fence is that taken. */
export type KeptOutput = Pick<HeldAttempt, "fence" | "spool">;

/** What identifies an attempt in a log. */
export function logFields(attempt: Pick<HeldAttempt, "attemptId" | "taskId" | "planId">): {
  attempt_id: string;
  task_id: string;
  plan_id: string;
} {
  return { attempt_id: attempt.attemptId, task_id: attempt.taskId, plan_id: attempt.planId };
}

export type NewAttempt = Pick<AssignedWork, "attemptId" | "fence" | "taskId" | "planId" | "reserved">;
