import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseRetry, type RetryCandidate } from "./retry.ts";
import { isFinalTaskState, type TaskState } from "./task-state.ts";

const task = (taskId: string, state: TaskState, dependsOn: readonly string[] = [], byDependency = false) => ({
  taskId,
  state,
  dependsOn,
  cancelledByDependency: byDependency,
});

/** A plan as it can really be: what depends on something that did not succeed is cancelled with it. */
const plans = fc
  .array(
    fc.record({
      wish: fc.constantFrom<TaskState>("succeeded", "failed", "cancelled", "running", "paused"),
      picks: fc.array(fc.nat(), { maxLength: 3 }),
    }),
    { maxLength: 14 },
  )
  .map((drafts) => {
    const made: RetryCandidate[] = [];
    for (const [index, { wish, picks }] of drafts.entries()) {
      const dependsOn = [...new Set(picks.map((pick) => (index === 0 ? null : `t${pick % index}`)))].filter(
        (id) => id !== null,
      );
      const states = dependsOn.map((id) => made.find(({ taskId }) => taskId === id)?.state);
      const broken = states.some((state) => state === "failed" || state === "cancelled");
      const mayStart = states.every((state) => state === "succeeded");
      const state: TaskState = broken ? "cancelled" : mayStart || wish === "cancelled" ? wish : "paused";
      // Somebody may have cancelled it before what it depends on failed.
      const asked = wish === "cancelled";
      made.push(task(`t${index}`, state, dependsOn, state === "cancelled" && broken && !asked));
    }
    return made;
  });

describe("chooseRetry", () => {
  it("failed tasks run again, and what was cancelled because of them comes back, however far behind", () => {
    const tasks = [
      task("a", "failed"),
      task("b", "cancelled", ["a"], true),
      task("c", "cancelled", ["b"], true),
      task("d", "succeeded"),
    ];
    expect(chooseRetry(tasks)).toEqual({ retried: ["a"], restored: ["b", "c"] });
  });

  it("what somebody cancelled stays cancelled, and what needs it too", () => {
    const tasks = [
      task("a", "failed"),
      task("asked", "cancelled", ["a"]),
      task("both", "cancelled", ["a", "asked"], true),
      task("other", "cancelled", ["a"], true),
    ];
    expect(chooseRetry(tasks)).toEqual({ retried: ["a"], restored: ["other"] });
  });

  it("of any plan: all that failed and nothing else is retried; everything that comes back can end", () => {
    fc.assert(
      fc.property(plans, (tasks) => {
        const { retried, restored } = chooseRetry(tasks);
        const back = new Set([...retried, ...restored]);
        expect(retried).toEqual(tasks.filter(({ state }) => state === "failed").map(({ taskId }) => taskId));
        for (const { taskId, state, cancelledByDependency, dependsOn } of tasks) {
          if (!back.has(taskId)) continue;
          if (state === "cancelled") expect(cancelledByDependency).toBe(true);
          for (const id of dependsOn) {
            const dependency = tasks.find((other) => other.taskId === id);
            expect(
              back.has(id) || dependency?.state === "succeeded" || !isFinalTaskState(dependency?.state ?? "failed"),
            ).toBe(true);
          }
        }
        // Nothing is left out that could come back: another look finds no more.
        const after = tasks.map((one): RetryCandidate => (back.has(one.taskId) ? { ...one, state: "paused" } : one));
        expect(chooseRetry(after)).toEqual({ retried: [], restored: [] });
      }),
    );
  });
});
