import type { Clock, Logger } from "@headroom/runtime";
import type { AttemptKnown } from "../store/model.ts";
import type { DependentsLockedError } from "../store/row-locked.ts";

/** To ask again takes the locks of all else that comes after the task. */
const restsMs = 8_000;

type Attempt = Pick<AttemptKnown, "attemptId" | "planId">;

interface KeptBack {
  readonly again: boolean;
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

  rests({ attemptId }: Attempt): boolean {
    return (this.#kept.get(attemptId)?.untilMs ?? 0) > this.#clock.monotonic();
  }

  /** A moment's lock is nothing to tell of. */
  note({ attemptId, planId }: Attempt, error: DependentsLockedError): void {
    const again = this.#kept.has(attemptId);
    if (again && this.#kept.get(attemptId)?.again === false)
      this.#logger.warn(
        { attempt_id: attemptId, plan_id: planId, err: error },
        "an attempt that is lost cannot be settled while somebody keeps what comes after its task locked: it is tried again until that ends",
      );
    this.#kept.set(attemptId, { again, untilMs: this.#clock.monotonic() + restsMs });
  }

  /** Of those that are due no more nothing is remembered. */
  keepOnly(due: readonly Attempt[]): void {
    const ids = new Set(due.map(({ attemptId }) => attemptId));
    for (const attemptId of this.#kept.keys()) if (!ids.has(attemptId)) this.#kept.delete(attemptId);
  }
}
