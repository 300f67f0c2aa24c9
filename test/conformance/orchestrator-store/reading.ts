/** Lists and look-ups. */
import { randomUUID } from "node:crypto";
import { planStatus } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { newPlan, newTask, page, paused, type StoreDesk } from "./desk.ts";

export function readingConformance(desk: StoreDesk): void {
  const { accept } = desk;

  describe("reading", () => {
    it("lists plans by status as planStatus reads it, by name, and page by page", async () => {
      await accept(newPlan([newTask("a", { pause: paused })], { name: "p1" }));
      await accept(newPlan([newTask("a")], { name: "p2" }));
      await accept(newPlan([newTask("a"), newTask("b", { pause: paused })], { name: "p3" }));
      const all = await desk.store.listPlans({ statuses: [], name: "" }, page);
      expect(all.items.map((plan) => plan.name)).toEqual(["p3", "p2", "p1"]);
      for (const status of ["dispatched", "partly_paused", "paused", "succeeded"] as const) {
        const some = await desk.store.listPlans({ statuses: [status], name: "" }, page);
        expect(some.items.map((plan) => plan.name)).toEqual(
          all.items.filter((plan) => planStatus(plan.counts) === status).map((plan) => plan.name),
        );
      }
      expect((await desk.store.listPlans({ statuses: [], name: "p2" }, page)).items).toHaveLength(1);
      const first = await desk.store.listPlans({ statuses: [], name: "" }, { limit: 2, after: null });
      const second = await desk.store.listPlans({ statuses: [], name: "" }, { limit: 2, after: first.next });
      expect([...first.items, ...second.items].map((plan) => plan.name)).toEqual(["p3", "p2", "p1"]);
      expect(second.next).toBeNull();
      expect((await desk.store.listTasks({ planId: null, states: ["paused"] }, page)).items).toHaveLength(2);
      expect(await desk.store.getPlan(randomUUID())).toBeNull();
      expect(await desk.store.getTask(randomUUID())).toBeNull();
      expect(await desk.store.findAttempt(randomUUID(), null)).toBeNull();
    });
  });
}
