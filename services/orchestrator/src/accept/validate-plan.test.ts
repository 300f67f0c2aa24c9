import { wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { describe, expect, it, vi } from "vitest";
import { validatePlan } from "./validate-plan.ts";

const nowMs = Date.UTC(2026, 0, 1);

/** Tasks "0", "1" and so on, each with as many dependencies as told, on those before it. */
function planOf(dependencies: readonly number[]): wire.WorkPlan {
  return wire.WorkPlan.fromPartial({
    name: "plan",
    tasks: dependencies.map((count, index) => ({
      name: `${index}`,
      command: { argv: ["true"] },
      dependsOn: Array.from({ length: count }, (_, before) => `${before}`),
    })),
  });
}

function refusalOf(plan: wire.WorkPlan): HeadroomError | null {
  try {
    validatePlan(plan, 1, nowMs);
    return null;
  } catch (error) {
    if (error instanceof HeadroomError) return error;
    throw error;
  }
}

describe("dependencies of a whole plan", () => {
  // 1,000 tasks without, then 100 with 1,000 each.
  const most = [...Array<number>(1_000).fill(0), ...Array<number>(100).fill(1_000)];

  it("may be 100,000", () => {
    expect(refusalOf(planOf(most))).toBeNull();
  });

  it("one more is INVALID_PLAN: names the task with which they are too many, and the way out", () => {
    const refusal = refusalOf(planOf([...most, 0, 1, 7]));
    expect(refusal).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "INVALID_PLAN",
      fieldViolations: [{ field: "plan.tasks[1101].depends_on" }],
    });
    expect(refusal?.message).toMatch(/more than 100000 .*split the plan/);
  });

  it("are not looked at one by one when they are too many", () => {
    const tasks = planOf([...Array<number>(1_000).fill(0), ...Array<number>(150).fill(1_000)]);
    let looks = 0;
    for (const task of tasks.tasks) {
      const { dependsOn } = task;
      task.dependsOn = new Proxy(dependsOn, {
        get(target, property) {
          if (property !== "length") looks += 1;
          return Reflect.get(target, property);
        },
      });
    }
    expect(refusalOf(tasks)).toMatchObject({ reason: "INVALID_PLAN" });
    expect(looks).toBe(0);
  });

  it("of which none exists are told of up to 50, and only those are looked for", () => {
    const plan = planOf(Array<number>(1_000).fill(0));
    const names = Array.from({ length: 1_000 }, (_, index) => `ghost-${index}`);
    for (const task of plan.tasks.slice(0, 100)) task.dependsOn = names;
    const looks = vi.spyOn(plan.tasks, "findIndex");
    const refusal = refusalOf(plan);
    expect(refusal?.fieldViolations).toHaveLength(50);
    expect(refusal?.fieldViolations[0]).toMatchObject({ field: "plan.tasks[0].depends_on[0]" });
    expect(looks.mock.calls.length).toBeLessThanOrEqual(51);
  });
});
