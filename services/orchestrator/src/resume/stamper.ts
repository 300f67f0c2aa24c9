/** Says of rows that wait when room was last looked for, and what was found: R-PAUSE-6, within bounds. */
import type { Clock } from "@headroom/runtime";
import type { Held } from "../placing/placer.ts";
import type { OrchestratorStore, QueueSpot } from "../store/port.ts";
import type { PassRequest } from "./resumer.ts";

export interface Stamper {
  /** All rows of the shape were looked at in vain, for this reason. */
  stamp(shapeKey: string, held: Held, request: Pick<PassRequest, "planId" | "cause" | "thorough">): Promise<void>;
}

/** Thousands of rows of one shape that a poll stamps; behind them the next poll goes on, and begins again at the end. */
const thousandsByPoll = 2;
/** Somebody who asks for a pass waits for it, and gets all that a queue of this size has. */
const thousandsWhenAsked = 100;
const maxShapes = 10_000;

interface Told {
  readonly reason: string;
  readonly atMs: number;
}

export function createStamper(options: {
  readonly store: Pick<OrchestratorStore, "markChecked">;
  readonly clock: Clock;
  /** A shape about which nothing new is said is not written again by events within this time. */
  readonly freshMs: number;
}): Stamper {
  const { store, clock, freshMs } = options;
  const told = new Map<string, Told>();
  const places = new Map<string, QueueSpot>();

  function remember(shapeKey: string, reason: string): void {
    told.delete(shapeKey);
    const oldest = told.size >= maxShapes ? told.keys().next().value : undefined;
    if (oldest !== undefined) {
      told.delete(oldest);
      places.delete(oldest);
    }
    told.set(shapeKey, { reason, atMs: clock.monotonic() });
  }

  async function afterEvent(shapeKey: string, held: Held, planId: string | null): Promise<void> {
    const last = told.get(shapeKey);
    if (last?.reason === held.reason && clock.monotonic() - last.atMs < freshMs) return;
    await store.markChecked({ shapeKey, planId, ...held, freshMs, after: null });
  }

  async function thorough(shapeKey: string, held: Held, planId: string | null, isPoll: boolean): Promise<void> {
    let after = isPoll ? (places.get(shapeKey) ?? null) : null;
    // What is tried next is always up to date, wherever the poll goes on behind it.
    if (after !== null) await store.markChecked({ shapeKey, planId, ...held, freshMs: 0, after: null });
    for (let thousand = 0; thousand < (isPoll ? thousandsByPoll : thousandsWhenAsked); thousand += 1) {
      const { last } = await store.markChecked({ shapeKey, planId, ...held, freshMs: 0, after });
      after = last;
      if (last === null) break;
    }
    if (!isPoll) return;
    if (after === null) places.delete(shapeKey);
    else places.set(shapeKey, after);
  }

  return {
    async stamp(shapeKey, held, request) {
      if (request.thorough) await thorough(shapeKey, held, request.planId, request.cause !== "asked to");
      else await afterEvent(shapeKey, held, request.planId);
      remember(shapeKey, held.reason);
    },
  };
}
