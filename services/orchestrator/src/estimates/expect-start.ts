import { expectedStart, remainingRange, type StartRange, typicalDurationMs } from "@headroom/scheduling";
import type { TaskRecord } from "../store/model.ts";
import type { OrchestratorStore, QueuePlace } from "../store/port.ts";

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
  const range = expectedStart({
    nowMs,
    ahead: place.higherPriority + place.samePriority,
    running: running.map(({ elapsedMs, expectedDurationMs }) => remainingRange(expectedDurationMs, elapsedMs)),
    typicalMs: task.expectedDurationMs ?? typicalDurationMs(known),
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
