import type { Clock, Logger } from "@headroom/runtime";
import type { AttemptKnown } from "../store/model.ts";
import type { DependentsLockedError } from "../store/row-locked.ts";

/** To ask again takes the locks of all else that comes after the task, so one that stays as it is is asked for ever more seldom. */
const firstRestMs = 8_000;
const longestRestMs = 60_000;
/** Of one that was settled by somebody else nothing is heard any more. */
const forgottenAfterMs = 10 * 60_000;

type Attempt = Pick<AttemptKnown, "attemptId" | "planId">;

interface KeptBack {
  readonly restMs: number;
  readonly untilMs: number;
}

/** Lost attempts that cannot be settled because somebody keeps what comes after their tasks locked. Each waits by itself: its plan is free. */
export class KeptBackAttempts {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #logger: Logger;
  readonly #kept = new Map<string, KeptBack>();

  constructor(clock: Pick<Clock, "monotonic">, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Those that are not asked about at this moment. */
  resting(): readonly string[] {
    const nowMs = this.#clock.monotonic();
    const resting: string[] = [];
    for (const [attemptId, { untilMs }] of this.#kept) {
      if (untilMs > nowMs) resting.push(attemptId);
      else if (nowMs - untilMs >= forgottenAfterMs) this.#kept.delete(attemptId);
    }
    return resting;
  }

  /** The second time it is told of, and no more: what is locked for a moment only is free by then. */
  note({ attemptId, planId }: Attempt, error: DependentsLockedError): void {
    const before = this.#kept.get(attemptId);
    if (before?.restMs === firstRestMs)
      this.#logger.warn(
        { attempt_id: attemptId, plan_id: planId, err: error },
        "an attempt that is lost cannot be settled while somebody keeps what comes after its task locked: it is tried again until that ends",
      );
    const restMs = before === undefined ? firstRestMs : Math.min(2 * before.restMs, longestRestMs);
    this.#kept.set(attemptId, { restMs, untilMs: this.#clock.monotonic() + restMs });
  }

  settled({ attemptId }: Attempt): void {
    this.#kept.delete(attemptId);
  }
}
