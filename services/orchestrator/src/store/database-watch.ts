/**
 * Whether the database answers this process, for readiness, health and the metrics. Nothing is asked for it: each statement that succeeds says yes,
 * and the look at the queue's hold, which comes every second whatever else there is to do, says no when it fails.
 */
import type { Clock, Logger } from "@headroom/runtime";

/** As long as a server that says nothing is waited for. Restarts and failovers take longer. */
const awayAfterMs = 5_000;
/** A single failure says little: of a process that has stood still, only that its connections ended meanwhile. */
const leastFailures = 2;

export const databaseAway =
  "this orchestrator process has not reached its database for 5 s or longer: it can accept and place nothing now. What was accepted is safe, and what runs goes on";

export class DatabaseWatch {
  readonly #options: {
    readonly clock: Pick<Clock, "monotonic">;
    readonly logger: Logger;
    readonly onChange: () => void;
  };
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #answers = false;

  /** `onChange` is called after each change of `answers`. */
  constructor(options: {
    readonly clock: Pick<Clock, "monotonic">;
    readonly logger: Logger;
    readonly onChange: () => void;
  }) {
    this.#options = options;
  }

  /** False until the first answer, and while there has been none for too long. */
  get answers(): boolean {
    return this.#answers;
  }

  /** A statement has succeeded. */
  answered(): void {
    const { clock, logger, onChange } = this.#options;
    const wasLost = !this.#answers && Number.isFinite(this.#answeredAtMs);
    this.#answeredAtMs = clock.monotonic();
    this.#failures = 0;
    if (this.#answers) return;
    this.#answers = true;
    if (wasLost) logger.info("this orchestrator process reaches its database again, and serves");
    onChange();
  }

  /** A look at the database has failed. Judged by failures only: a process that has stood still asks first. */
  failed(): void {
    const { clock, logger, onChange } = this.#options;
    this.#failures += 1;
    const silentMs = clock.monotonic() - this.#answeredAtMs;
    if (!this.#answers || this.#failures < leastFailures || silentMs < awayAfterMs) return;
    this.#answers = false;
    logger.warn(
      { silent_ms: Math.round(silentMs) },
      "this orchestrator process does not reach its database: it says that it cannot serve, until it does; agents stay connected",
    );
    onChange();
  }
}
