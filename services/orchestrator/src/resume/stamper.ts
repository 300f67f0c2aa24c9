/** Says of rows that wait when room was last looked for, and what was found: R-PAUSE-6, within bounds. */
import type { Clock } from "@headroom/runtime";
import type { Held } from "../placing/placer.ts";
import type { OrchestratorStore, QueueSpot } from "../store/port.ts";
import type { PassRequest } from "./resumer.ts";

export interface Stamper {
  /** All rows of these shapes were looked at in vain, each for this reason. */
  stamp(shapes: ReadonlyMap<string, Held>, request: StampRequest): Promise<void>;
}

type StampRequest = Pick<PassRequest, "planId" | "cause" | "thorough">;

/** Thousands of rows of one shape that a poll stamps; behind them the next poll goes on, and begins again at the end. */
const thousandsByPoll = 2;
/** Somebody who asks for a pass waits for it, and gets all that a queue of this size has. */
const thousandsWhenAsked = 100;
const maxShapes = 10_000;
/** So few shapes are stamped one by one. */
const fewShapes = 8;
/** Of more of them, what one statement stamps, and how many rows of each: where very many shapes wait these are mostly all. */
const shapesAtOnce = 500;
const rowsOfEach = 20;

interface Told {
  readonly reason: string;
  readonly atMs: number;
}

export function createStamper(options: {
  readonly store: Pick<OrchestratorStore, "markChecked" | "markFronts">;
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

  /** Answers the shapes of which there may be more rows. */
  async function stampFronts(
    shapes: ReadonlyMap<string, Held>,
    planId: string | null,
    fresh: number,
  ): Promise<readonly (readonly [string, Held])[]> {
    if (shapes.size <= fewShapes) return [...shapes];
    const asked = Array.from(shapes, ([shapeKey, { reason, sentence }]) => ({ shapeKey, reason, sentence }));
    const longer = new Set<string>();
    for (let from = 0; from < asked.length; from += shapesAtOnce) {
      const about = { planId, freshMs: fresh, ofEach: rowsOfEach };
      for (const shapeKey of await store.markFronts(asked.slice(from, from + shapesAtOnce), about))
        longer.add(shapeKey);
    }
    return [...shapes].filter(([shapeKey]) => longer.has(shapeKey));
  }

  function isNews(shapeKey: string, held: Held): boolean {
    const last = told.get(shapeKey);
    return last?.reason !== held.reason || clock.monotonic() - last.atMs >= freshMs;
  }

  async function afterEvent(shapes: ReadonlyMap<string, Held>, planId: string | null): Promise<void> {
    const news = new Map([...shapes].filter(([shapeKey, held]) => isNews(shapeKey, held)));
    for (const [shapeKey, { reason, sentence }] of await stampFronts(news, planId, freshMs))
      await store.markChecked({ shapeKey, planId, reason, sentence, freshMs, after: null });
    for (const [shapeKey, { reason }] of news) remember(shapeKey, reason);
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
    async stamp(shapes, { planId, cause, thorough: isThorough }) {
      if (!isThorough) return afterEvent(shapes, planId);
      for (const [shapeKey, held] of await stampFronts(shapes, planId, 0))
        await thorough(shapeKey, held, planId, cause !== "asked to");
      for (const [shapeKey, { reason }] of shapes) remember(shapeKey, reason);
    },
  };
}
