import { normalizeNeeds, type PartialNeeds } from "@headroom/scheduling";
import { expect, it } from "vitest";
import type { TaskRecord } from "../store/model.ts";
import type { AheadOfShape } from "../store/port.ts";
import { expectStart } from "./expect-start.ts";

const nowMs = 1_000_000;
const minuteMs = 60_000;
const shape = (tasks: number, asked: PartialNeeds, shortestMs: number | null = null): AheadOfShape => ({
  tasks,
  needs: normalizeNeeds(asked),
  shortestMs,
});

/** Of a task of a minute that is pinned to pool "b", while 10 runs have a minute left: in minutes from now. */
async function expectedOf(ahead: readonly AheadOfShape[]): Promise<readonly [number, number]> {
  const task = { needs: normalizeNeeds({ pool: "b", cpuMillicores: 2_000 }), expectedDurationMs: minuteMs };
  const samePriority = ahead.reduce((sum, { tasks }) => sum + tasks, 0);
  const running = Array.from({ length: 10 }, () => ({ elapsedMs: 0, expectedDurationMs: minuteMs }));
  const range = await expectStart(
    { runningExpectations: () => Promise.resolve(running) },
    task as unknown as TaskRecord,
    { higherPriority: 0, samePriority, aheadByShape: ahead, nowMs },
    minuteMs,
  );
  return [((range?.earliestMs ?? 0) - nowMs) / minuteMs, ((range?.latestMs ?? 0) - nowMs) / minuteMs];
}

it("what waits for other room before it is no reason to start later at the earliest, and stays one at the latest", async () => {
  const gpuPool = shape(5_000, { pool: "gpu", gpuCount: 1 }, minuteMs);
  expect(await expectedOf([gpuPool])).toEqual([1, 1.5 * 501]);
  // Neither does what is larger than it: it is passed by where only it finds room.
  expect(await expectedOf([shape(5_000, { pool: "b", cpuMillicores: 4_000 }, minuteMs)])).toEqual([1, 1.5 * 501]);
});

it("what wants no more than it of the same room goes before it, as long as that takes", async () => {
  const alike = shape(5_000, { pool: "b", cpuMillicores: 2_000 }, minuteMs);
  expect(await expectedOf([alike])).toEqual([0.75 * 501, 1.5 * 501]);
  expect(await expectedOf([shape(5_000, {}, minuteMs / 2)])).toEqual([0.75 * 251, 1.5 * 501]);
});

it("may start as soon as a place falls free where nobody knows how short what goes before it is", async () => {
  const known = shape(2_500, { pool: "b", cpuMillicores: 2_000 }, minuteMs);
  const unknown = shape(2_500, { pool: "b", cpuMillicores: 1_000 }, null);
  expect(await expectedOf([known, unknown])).toEqual([1, 1.5 * 501]);
});
