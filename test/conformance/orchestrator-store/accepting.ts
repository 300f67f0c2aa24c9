/** Plans are accepted once, whole, with their history. */
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { leaseMs, needs, newPlan, newTask, paused, type StoreDesk } from "./desk.ts";

export function acceptingConformance(desk: StoreDesk): void {
  const { owner, accept, kinds } = desk;

  describe("accepting", () => {
    it("keeps plan, tasks, dependencies and pause rows; what is not paused is claimed in the plan's order", async () => {
      const first = newTask("a");
      const plan = newPlan([
        first,
        newTask("b", {
          dependsOnTaskIds: [first.taskId],
          pause: { reason: "DEPENDENCY_PENDING", sentence: "waits", blocked: true },
        }),
        newTask("c"),
      ]);
      const claimed = await accept(plan);
      expect(claimed.map((one) => [one.taskName, one.state, one.fence, one.mayHoldRoom])).toEqual([
        ["a", "pending", 1, false],
        ["c", "pending", 1, false],
      ]);
      const record = await desk.store.getPlan(plan.planId);
      expect(record).toMatchObject({
        name: "plan",
        labels: { team: "a" },
        finishedAtMs: null,
        counts: { pending: 2, paused: 1 },
      });
      const tasks = await desk.store.planTasks(plan.planId);
      expect(tasks.map((task) => task.name)).toEqual(["a", "b", "c"]);
      expect(tasks[1]).toMatchObject({
        dependsOn: ["a"],
        needs,
        pause: { reason: "DEPENDENCY_PENDING", resumeAfterMs: null },
      });
      expect(await kinds(plan.planId)).toEqual(["PLAN_ACCEPTED", "TASK_PAUSED"]);
    });

    it("a request_id is used once, even by two at the same moment; task ids are unique", async () => {
      const requestId = randomUUID();
      const plans = [1, 2, 3].map(() => newPlan([newTask("a")], { requestId }));
      const outcomes = await Promise.all(plans.map((plan) => desk.store.acceptPlan(plan, { owner, leaseMs }, 1)));
      expect(outcomes.filter(({ kind }) => kind === "accepted")).toHaveLength(1);
      expect(outcomes.filter(({ kind }) => kind === "request_id_used")).toHaveLength(2);
      const used = await desk.store.findRequest(requestId);
      expect(outcomes.find(({ kind }) => kind === "request_id_used")).toMatchObject({
        planId: used?.planId,
        samePlan: true,
      });
      expect(
        await desk.store.acceptPlan(
          newPlan([newTask("x")], { requestId, requestHash: "different" }),
          { owner, leaseMs },
          1,
        ),
      ).toMatchObject({ samePlan: false });
      const task = newTask("t");
      await accept(newPlan([task]));
      expect(await desk.store.acceptPlan(newPlan([task]), { owner, leaseMs }, 1)).toEqual({
        kind: "task_ids_exist",
        taskIds: [task.taskId],
      });
      expect(await desk.store.findRequest(randomUUID())).toBeNull();
    });

    it("plans that come together are all accepted, each with its history; what is wrong with one is held against no other", async () => {
      const taken = newTask("taken");
      await accept(newPlan([taken]));
      const plans = Array.from({ length: 30 }, (_, number) =>
        newPlan(number === 7 ? [taken] : [newTask("first"), newTask("second", { pause: paused })]),
      );
      const outcomes = await Promise.all(plans.map((plan) => desk.store.acceptPlan(plan, { owner, leaseMs }, 2)));
      for (const [number, outcome] of outcomes.entries()) {
        const { planId = "", tasks = [] } = plans[number] ?? {};
        if (number === 7) {
          expect(outcome).toEqual({ kind: "task_ids_exist", taskIds: [taken.taskId] });
          expect(await desk.store.getPlan(planId)).toBeNull();
          continue;
        }
        expect(outcome).toMatchObject({ kind: "accepted", claimed: [{ planId, taskId: tasks[0]?.taskId, fence: 1 }] });
        expect(await kinds(planId)).toEqual(["PLAN_ACCEPTED", "TASK_PAUSED"]);
      }
    });
  });
}
