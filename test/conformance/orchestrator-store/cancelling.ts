/** Cancelling plans and tasks. */
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { newPlan, newTask, paused, type StoreDesk } from "./desk.ts";

export function cancellingConformance(desk: StoreDesk): void {
  const { accept, assign, kinds } = desk;

  describe("cancelling", () => {
    it("ends what waits, takes back what was never sent, and asks for what runs", async () => {
      const agentId = randomUUID();
      const plan = newPlan([
        newTask("runs"),
        newTask("unsent"),
        newTask("waits", { pause: paused }),
        newTask("pending"),
      ]);
      const claimed = await accept(plan);
      const byName = (name: string) => claimed.filter((one) => one.taskName === name);
      await assign(byName("runs"), agentId, true);
      await assign(byName("unsent"), agentId, false);
      const outcome = await desk.store.cancelPlan(plan.planId, "enough", "planner");
      expect(outcome).toMatchObject({ cancelledTasks: 3, running: [{ agentId }], takenBack: [{ agentId }] });
      expect((await desk.store.getPlan(plan.planId))?.counts).toMatchObject({ assigned: 1, cancelled: 3 });
      expect(await desk.store.takeToCancel([agentId], 60_000)).toHaveLength(1);
      expect(await desk.store.takeToCancel([agentId], 60_000)).toEqual([]);
      expect(await assign(byName("pending"), agentId)).toEqual([]);
      expect(await desk.store.cancelPlan(plan.planId, "enough", "planner")).toMatchObject({
        cancelledTasks: 0,
        running: [{ agentId }],
      });
      expect(await desk.store.cancelPlan(randomUUID(), "", "planner")).toBeNull();
      expect((await kinds(plan.planId)).filter((kind) => kind === "PLAN_CANCEL_REQUESTED")).toHaveLength(1);
    });

    it("one task: unknown, finished, or cancelled with what depends on it", async () => {
      const a = newTask("a", { pause: paused });
      const plan = newPlan([a, newTask("b", { dependsOnTaskIds: [a.taskId], pause: { ...paused, blocked: true } })]);
      await accept(plan);
      expect(await desk.store.cancelTask(randomUUID(), "", "planner")).toEqual({ kind: "unknown" });
      expect(await desk.store.cancelTask(a.taskId, "", "planner")).toMatchObject({
        kind: "cancelled",
        cancelledTasks: 2,
      });
      expect(await desk.store.cancelTask(a.taskId, "", "planner")).toEqual({ kind: "finished", state: "cancelled" });
      expect((await kinds(plan.planId)).at(-1)).toBe("PLAN_CANCELLED");
    });
  });
}
