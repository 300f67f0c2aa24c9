import { describe, expect, it } from "vitest";
import { countTasks, planSummary, type PlanStatus } from "./plan-status.ts";
import type { TaskState } from "./task-state.ts";

const CASES: readonly (readonly [PlanStatus, readonly TaskState[]])[] = [
  ["dispatched", ["pending"]],
  ["dispatched", ["assigned", "running"]],
  ["dispatched", ["succeeded", "running"]],
  ["partly_paused", ["paused", "running"]],
  ["partly_paused", ["paused", "pending"]],
  ["paused", ["paused", "paused"]],
  ["paused", ["paused", "succeeded"]],
  ["paused", ["lost"]],
  ["succeeded", ["succeeded", "succeeded"]],
  ["failed", ["succeeded", "failed", "cancelled"]],
  ["cancelled", ["succeeded", "cancelled"]],
];

describe("plan status", () => {
  it.each(CASES)("R-PAUSE-5: %s when its tasks are %j", (status, states) => {
    expect(planSummary(countTasks(states)).status).toBe(status);
  });

  it.each([1, 5, 20])("R-PAUSE-5: counts %i paused tasks", (count) => {
    const states: TaskState[] = [...Array.from({ length: count }, (): TaskState => "paused"), "running"];
    expect(planSummary(countTasks(states))).toMatchObject({ pausedTasks: count, total: count + 1 });
  });
});
