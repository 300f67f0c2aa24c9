import { expectedStart, fitsWherever, remainingRange, type StartRange, typicalDurationMs } from "@headroom/scheduling";
import type { TaskRecord } from "../store/model.ts";
import type { AheadOfShape, OrchestratorStore, QueuePlace } from "../store/port.ts";

/** Of what runs, so much is read: more places change the estimate little. */
const maxRunning = 2_000;

/**
 * When a task that waits for room is expected to start, from what runs, how long that takes (declared, or learned), how many
 * stand before it, and in how long the registry expects room for its needs: all of it in spans from the store's moment, because clocks differ.
 * Null: nothing is known.
 */
export async function expectStart(
  store: Pick<OrchestratorStore, "runningExpectations">,
  task: TaskRecord,
  place: QueuePlace,
  roomInMs: number | null,
): Promise<StartRange | null> {
  const { nowMs } = place;
  const running = await store.runningExpectations(maxRunning);
  const known = running.flatMap(({ expectedDurationMs: ms }) => ms ?? []);
  const typicalMs = task.expectedDurationMs ?? typicalDurationMs(known);
  // Whatever wants less room than it of the same agents goes before it. What wants other room may wait for that, while its own becomes free.
  const sure = place.aheadByShape.filter(({ needs }) => fitsWherever(needs, task.needs));
  const range = expectedStart({
    nowMs,
    ahead: place.higherPriority + place.samePriority,
    surelyAhead: sure.reduce((sum, { tasks }) => sum + tasks, 0),
    running: running.map(({ elapsedMs, expectedDurationMs }) => remainingRange(expectedDurationMs, elapsedMs)),
    typicalMs,
    shortestMs: shortestOf(sure),
    roomAtMs: roomInMs === null ? null : nowMs + roomInMs,
  });
  const notBeforeMs = task.pause?.resumeAfterMs ?? null;
  if (range === null || notBeforeMs === null) return range;
  const { earliestMs, latestMs } = range;
  return {
    earliestMs: Math.max(earliestMs, notBeforeMs),
    latestMs: latestMs === null ? null : Math.max(latestMs, notBeforeMs),
  };
}

/** One of which nobody knows how long it runs may be the shortest of all. */
function shortestOf(sure: readonly AheadOfShape[]): number | null {
  const known = sure.flatMap(({ shortestMs }) => shortestMs ?? []);
  return known.length === 0 || known.length < sure.length ? null : Math.min(...known);
}
