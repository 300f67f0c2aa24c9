import type { wire } from "@headroom/contracts";
import type { Amounts } from "@headroom/scheduling";
import type { TotalUse } from "../attempt.ts";

/** An attempt that the agent has accepted and whose processes are not gone. */
export interface ListedAttempt {
  readonly attemptId: string;
  readonly fence: number;
  readonly reserved: Amounts;
  /** First process and process group; null: not started yet. */
  readonly pid: number | null;
}

/** What the machine has and what each attempt uses, taken together. A port. */
export interface Sampler {
  /** Looks what can be measured here. */
  start(): Promise<void>;
  /** One sample; `attempts` must be the complete list of this very moment. One call at a time. */
  sample(attempts: readonly ListedAttempt[]): Promise<wire.Sample>;
  /** A cheap look at the processes in between, so that peaks show; does nothing without attempts. */
  watchPeaks(attempts: readonly ListedAttempt[]): Promise<void>;
  /** What an attempt used from start to end, and forgets it. `exitCpuMs` is what the system accounted at its end, if known. */
  takeTotal(attemptId: string, exitCpuMs: number | null): TotalUse;
}
