import { timestampFromMs, wire } from "@headroom/contracts";
import { Outage, type Clock, type Logger } from "@headroom/runtime";
import type { ListedAttempt } from "./sampler.ts";

/** Figures are good for so long without a measuring: a process or a driver that is stuck for a moment costs nothing. */
export const figuresLastMs = 30_000;

/**
 * What was measured last, and what is told when nothing can be measured any more: all of the machine is still there, and nothing of it is
 * given away. Without that the registry would go on to give away what was free before.
 */
export class LastMeasured {
  readonly #clock: Clock;
  readonly #outage: Outage;
  #last: { readonly sample: wire.Sample; readonly atMs: number } | null = null;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#outage = new Outage(logger, {
      fails: `the machine has not been measured for ${figuresLastMs / 1_000} s: it is told to have no room until it can be`,
      works: "what the machine has is told again",
    });
  }

  note(sample: wire.Sample): void {
    this.#last = { sample, atMs: this.#clock.monotonic() };
    this.#outage.worked();
  }

  /** To be told in place of a sample that could not be taken; null: what was told last still stands, or nothing ever was. */
  whenUnmeasured(attempts: readonly ListedAttempt[]): wire.Sample | null {
    if (this.#last === null || this.#clock.monotonic() - this.#last.atMs < figuresLastMs) return null;
    this.#outage.failed(new Error("no measuring has come to its end"));
    return withoutRoom(this.#last.sample, attempts, this.#clock.now());
  }
}

/** The attempts are known without a measuring; what they used last counts as used still. */
function withoutRoom(last: wire.Sample, attempts: readonly ListedAttempt[], nowMs: number): wire.Sample {
  const uses = new Map(last.attempts.map((use) => [use.attemptId, use]));
  return {
    ...last,
    sampledAt: timestampFromMs(nowMs),
    cpuMillicores: noneAvailable(last.cpuMillicores),
    memoryMib: noneAvailable(last.memoryMib),
    cards: last.cards.map((card) => ({ ...card, vramMib: noneAvailable(card.vramMib) })),
    attempts: attempts.map(({ attemptId, fence }) =>
      wire.AttemptUse.fromPartial({ ...uses.get(attemptId), attemptId, fence }),
    ),
  };
}

/** What the owner has declared was never measured, and stands. */
function noneAvailable(dimension: wire.Dimension | undefined): wire.Dimension | undefined {
  return dimension === undefined || dimension.declared ? dimension : { ...dimension, available: 0 };
}
