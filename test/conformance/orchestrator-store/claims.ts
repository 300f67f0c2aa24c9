/** A row is claimed by one at a time, in the order of the queue. */
import { randomUUID } from "node:crypto";
import { normalizeNeeds, shapeKey } from "@headroom/scheduling";
import { waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { leaseMs, needs, newPlan, newTask, paused, type StoreDesk } from "./desk.ts";

export function claimsConformance(desk: StoreDesk): void {
  const { owner, other, accept, claim, assign } = desk;

  describe("claims", () => {
    it("takes due rows by priority, age and position; a row is claimed by one at a time", async () => {
      const low = newPlan([newTask("l1", { pause: paused }), newTask("l2", { pause: paused })]);
      const high = newPlan([newTask("h1", { pause: paused, priority: 5 })]);
      await accept(low);
      await accept(high);
      await accept(
        newPlan([
          newTask("later", { pause: { ...paused, reason: "RESUME_AFTER" }, resumeAfterMs: Date.now() + 3_600_000 }),
          newTask("blocked", { pause: { ...paused, blocked: true } }),
        ]),
      );
      const [mine, theirs] = await Promise.all([claim(), claim({ owner: other })]);
      expect([...mine, ...theirs]).toHaveLength(3);
      const all = mine.length > 0 ? mine : theirs;
      if (all.length === 3) expect(all.map((one) => one.taskName)).toEqual(["h1", "l1", "l2"]);
      expect(await claim()).toEqual([]);
      expect(await desk.store.nextDueInMs()).toBeGreaterThan(3_000_000);
      expect(await desk.store.countDue(null)).toEqual({ cpuTasks: 3, gpuTasks: 0 });
      expect(await desk.store.countWaiting(null, null)).toBe(5);
      expect(await desk.store.countWaiting(null, 2)).toBe(2);
    });

    it("takes rows of one shape, of one plan or all; the heads of all shapes are known in their order", async () => {
      const gpuNeeds = normalizeNeeds({ gpuCount: 1 });
      const gpu = { pause: paused, needs: gpuNeeds, shapeKey: shapeKey(gpuNeeds) };
      const plan = newPlan([
        newTask("cpu", { pause: paused }),
        newTask("cpu 2", { pause: paused }),
        newTask("gpu", gpu),
      ]);
      await accept(plan);
      await accept(newPlan([newTask("urgent gpu", { ...gpu, priority: 1 })]));
      const { heads, next } = await desk.store.queueHeads(null);
      expect(next).toBeNull();
      expect(await desk.store.queueFront()).toEqual(heads.map((head) => ({ ...head, waitedMs: expect.any(Number) })));
      expect(heads.map(({ taskName, usesGpu }) => [taskName, usesGpu])).toEqual([
        ["urgent gpu", true],
        ["cpu", false],
      ]);
      expect(heads[1]).toMatchObject({
        shapeKey: shapeKey(needs),
        needs,
        planId: plan.planId,
        expectedDurationMs: null,
      });
      const ofPlan = await desk.store.queueHeadsOfPlan(plan.planId);
      expect(ofPlan.map(({ taskName }) => taskName)).toEqual(["cpu", "gpu"]);
      expect(await desk.store.queueHeadsOfPlan(randomUUID())).toEqual([]);
      expect(await claim({ planId: randomUUID() })).toEqual([]);
      expect(await claim({ exceptPlanIds: [randomUUID(), plan.planId] })).toEqual([]);
      expect(await claim({ shapes: [{ shapeKey: "another", limit: 100 }] })).toEqual([]);
      const ofGpu = { shapeKey: shapeKey(gpuNeeds), limit: 100 };
      const gpus = await claim({ shapes: [ofGpu], planId: plan.planId });
      expect(gpus.map((one) => one.taskName)).toEqual(["gpu"]);
      expect((await claim({ shapes: [{ shapeKey: shapeKey(needs), limit: 1 }] })).map((one) => one.taskName)).toEqual([
        "cpu",
      ]);
    });

    it("takes so many of each of several shapes together, in the order of the queue, which is known before", async () => {
      const gpuNeeds = normalizeNeeds({ gpuCount: 1 });
      const gpu = { pause: paused, needs: gpuNeeds, shapeKey: shapeKey(gpuNeeds) };
      const cpu = { pause: paused };
      const plan = newPlan([
        newTask("1", cpu),
        newTask("2", gpu),
        newTask("3", cpu),
        newTask("4", gpu),
        newTask("5", cpu),
      ]);
      await accept(plan);
      await accept(newPlan([newTask("urgent", { ...gpu, priority: 1 })]));
      const keys = [shapeKey(needs), shapeKey(gpuNeeds)];
      const about = { ofEach: 64, planId: null, exceptPlanIds: [] };
      const ranks = await desk.store.queueRanks([...keys, "another"], { ...about, ofEach: 2 });
      const [ofCpu = [], ofGpu = []] = keys.map((key) => ranks.get(key));
      expect(ofCpu).toHaveLength(2);
      expect(ofGpu).toHaveLength(2);
      expect(ranks.size).toBe(2);
      const ofPlan = await desk.store.queueRanks(keys, { ...about, planId: plan.planId });
      expect(keys.map((key) => ofPlan.get(key)?.length)).toEqual([3, 2]);
      const others = await desk.store.queueRanks(keys, { ...about, exceptPlanIds: [plan.planId] });
      expect(keys.map((key) => others.get(key)?.length)).toEqual([undefined, 1]);
      const [one, another] = keys.map((key) => ({ shapeKey: key, limit: 2 }));
      const claimed = await claim({ shapes: [one!, { ...another!, limit: 100 }] });
      expect(claimed.map(({ taskName }) => taskName)).toEqual(["urgent", "1", "2", "3", "4"]);
      expect(claimed.map(({ rank }) => rank).slice(0, 4)).toEqual([ofGpu[0], ofCpu[0], ofGpu[1], ofCpu[1]]);
      expect((await claim({ shapes: [one!, another!] })).map(({ taskName }) => taskName)).toEqual(["5"]);
    });

    it("more shapes than one look shows are found behind it, and the front of the queue at once", async () => {
      const shapes = Array.from({ length: 1_001 }, (_, index) => normalizeNeeds({ cpuMillicores: 1_000 + index }));
      const tasks = shapes.map((each, index) =>
        newTask(`${index}`, { pause: paused, needs: each, shapeKey: shapeKey(each), priority: index === 7 ? 9 : 0 }),
      );
      await accept(newPlan(tasks));
      const first = await desk.store.queueHeads(null);
      expect(first.heads).toHaveLength(1_000);
      const last = await desk.store.queueHeads(first.next);
      expect(last).toMatchObject({ heads: [{ rank: expect.any(Number) }], next: null });
      const found = new Set([...first.heads, ...last.heads].map((head) => head.shapeKey));
      expect(found).toEqual(new Set(shapes.map(shapeKey)));
      const front = await desk.store.queueFront();
      expect(front).toHaveLength(1_001);
      expect(front[0]).toMatchObject({ taskName: "7" });
    });

    it("a hold of the queue that comes before the assignment: nothing is assigned, and all of it is there again", async () => {
      await accept(newPlan([newTask("a", { pause: paused }), newTask("b", { pause: paused })]));
      const by = { reason: "power work", by: "ana", call: { requestId: "", traceparent: "" } };
      await desk.store.holdQueue(by);
      // By a replica that has not heard of it yet.
      const claimed = await claim();
      expect(await assign(claimed, randomUUID())).toEqual([]);
      const parks = claimed.map(
        (one) => ({ claimed: one, reason: "HELD", sentence: "", attemptIdKept: false }) as const,
      );
      expect(await desk.store.park(parks, owner, "resume-loop")).toBe(2);
      await desk.store.releaseQueue(by);
      expect(await assign(await claim(), randomUUID())).toHaveLength(2);
    });

    it("ageing: a point of priority is worth so much waiting, and a task that comes back keeps its place", async () => {
      const pointMs = 50;
      await accept(newPlan([newTask("old", { pause: paused })], { pointMs }));
      await waitFor(
        async () => ((await desk.store.queueFronts([shapeKey(needs)])).get(shapeKey(needs)) ?? 0) > 2 * pointMs,
      );
      await accept(newPlan([newTask("one point", { pause: paused, priority: 1 })], { pointMs }));
      await accept(newPlan([newTask("many points", { pause: paused, priority: 1_000 })], { pointMs }));
      const inOrder = await claim();
      expect(inOrder.map((one) => one.taskName)).toEqual(["many points", "old", "one point"]);
      const agentId = randomUUID();
      const [attempt] = await assign(inOrder.slice(1, 2), agentId);
      if (attempt === undefined) throw new Error("not assigned");
      await desk.store.undeliver(attempt, agentId, () => ({
        kind: "requeue",
        attemptState: "undelivered",
        eventKind: "TASK_NOT_DELIVERED",
        reason: "DELIVERY_FAILED",
        sentence: "away",
        resumeAfterMs: null,
        runGivenBack: true,
      }));
      await desk.store.giveBackClaims(owner);
      expect((await claim()).map((one) => one.taskName)).toEqual(["many points", "old", "one point"]);
    });

    it("R-PAUSE-6: a row whose resume_after has passed is tried from then on, and no earlier", async () => {
      const pause = { ...paused, reason: "RESUME_AFTER" } as const;
      await accept(newPlan([newTask("later", { pause, resumeAfterMs: Date.now() + 3_000 })]));
      expect(await desk.store.ripen()).toBe(0);
      expect(await desk.store.queueHeads(null)).toEqual({ heads: [], next: null });
      expect(await desk.store.queueFront()).toEqual([]);
      expect(await claim()).toEqual([]);
      await waitFor(async () => (await desk.store.ripen()) === 1);
      expect((await claim()).map((one) => one.taskName)).toEqual(["later"]);
    });

    it("an expired claim is taken over with the same attempt id and a higher fence; the old owner's writes change nothing", async () => {
      await accept(newPlan([newTask("a", { pause: paused }), newTask("b")]), other);
      const first = await claim({ leaseMs: 0 });
      expect(first).toHaveLength(1);
      const taken = await desk.store.claimOrphans({ owner: other, leaseMs }, 10, null);
      expect(taken.map((one) => one.taskName)).toEqual(["a"]);
      expect(taken[0]).toMatchObject({ attemptId: first[0]?.attemptId, mayHoldRoom: true });
      expect(taken[0]?.fence).toBeGreaterThan(first[0]?.fence ?? 0);
      expect(await assign(first, randomUUID())).toEqual([]);
      expect(
        await desk.store.park(
          first.map((claimed) => ({ claimed, reason: "NO_AGENT_FITS_NOW", sentence: "", attemptIdKept: false })),
          owner,
          "resume-loop",
        ),
      ).toBe(0);
      expect(await assign(taken, randomUUID(), true, other)).toHaveLength(1);
    });

    it("giving claims back lets others take over at once", async () => {
      await accept(newPlan([newTask("a")]));
      expect(await desk.store.claimOrphans({ owner: other, leaseMs }, 10, null)).toEqual([]);
      expect(await desk.store.giveBackClaims(owner)).toBe(1);
      expect(await desk.store.claimOrphans({ owner: other, leaseMs }, 10, null)).toHaveLength(1);
    });
  });
}
