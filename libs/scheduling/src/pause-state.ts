/** The life of an entry of `pause_queue`. A task that is paused again gets a new entry. */
import { step, type StateTable, type Step } from "./state-table.ts";

export type PauseState =
  | "waiting"
  /** Its task was assigned. */
  | "resumed"
  | "cancelled"
  /** Its task failed while it waited: it waited too long, or can never fit. */
  | "failed";

export type PauseEvent = "still_waiting" | "resumed" | "cancelled" | "failed";

export type PauseRejection = "ALREADY_RESUMED" | "ALREADY_ENDED";

export const PAUSE_TABLE: StateTable<PauseState, PauseEvent, PauseRejection> = {
  waiting: { still_waiting: "waiting", resumed: "resumed", cancelled: "cancelled", failed: "failed" },
  resumed: {
    still_waiting: "!ALREADY_RESUMED",
    resumed: "!ALREADY_RESUMED",
    cancelled: "!ALREADY_RESUMED",
    failed: "!ALREADY_RESUMED",
  },
  cancelled: {
    still_waiting: "!ALREADY_ENDED",
    resumed: "!ALREADY_ENDED",
    cancelled: "!ALREADY_ENDED",
    failed: "!ALREADY_ENDED",
  },
  failed: {
    still_waiting: "!ALREADY_ENDED",
    resumed: "!ALREADY_ENDED",
    cancelled: "!ALREADY_ENDED",
    failed: "!ALREADY_ENDED",
  },
};

export type PauseStep = Step<PauseState, PauseRejection>;

export function pauseStep(state: PauseState, event: PauseEvent): PauseStep {
  return step(PAUSE_TABLE, state, event);
}

/** Whether an entry may be tried now (R-PAUSE-6): `resume_after` is null or past. */
export function isDue(resumeAfterMs: number | null, nowMs: number): boolean {
  return resumeAfterMs === null || resumeAfterMs <= nowMs;
}
