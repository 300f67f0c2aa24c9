/** What waits: parked, checked, paged through. */
import { randomUUID } from "node:crypto";
import { shapeKey } from "@headroom/scheduling";
import { waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { needs, newPlan, newTask, page, paused, type StoreDesk, succeed, undelivered } from "./desk.ts";

export function queueConformance(desk: StoreDesk): void {
  const { owner, accept, claim, kinds, resultOf, start } = desk;

  describe("the queue", () => {
    it("R-PAUSE-4: parking gives a new task its row once, and keeps a waiting one's; the attempt id is kept only when told", async () => {
      const plan = newPlan([newTask("a")]);
      const [claimed] = await accept(plan);
      if (claimed === undefined) throw new Error("not claimed");
      expect(
        await desk.store.park(
          [{ claimed, reason: "NO_AGENT_FITS_NOW", sentence: "short", attemptIdKept: true }],
          owner,
          "planner",
        ),
      ).toBe(1);
      const [again] = await claim();
      if (again === undefined) throw new Error("not claimed again");
      expect(again).toMatchObject({ attemptId: claimed.attemptId, mayHoldRoom: true, state: "paused" });
      expect(
        await desk.store.park(
          [{ claimed: again, reason: "NO_AGENT_CAN_EVER_FIT", sentence: "never", attemptIdKept: false }],
          owner,
          "resume-loop",
        ),
      ).toBe(1);
      const [third] = await claim();
      expect(third?.attemptId).not.toBe(claimed.attemptId);
      const listed = await desk.store.listPaused({ planId: null, reasons: null }, page);
      expect(listed).toMatchObject({
        items: [{ taskName: "a", planName: "plan", pause: { reason: "NO_AGENT_CAN_EVER_FIT", sentence: "never" } }],
      });
      expect(await desk.store.listPaused({ planId: null, reasons: ["HELD"] }, page)).toEqual({ items: [], next: null });
      expect(await desk.store.countPaused(plan.planId, null)).toBe(1);
      expect(await desk.store.countPaused(plan.planId, ["HELD"])).toBe(0);
      expect(await kinds(plan.planId)).toEqual(["PLAN_ACCEPTED", "TASK_PAUSED"]);
    });

    it("R-PAUSE-6: what is parked for later is not taken before, and goes on to say why; a shape that is checked leaves it alone", async () => {
      const [fresh] = await accept(newPlan([newTask("fresh")]));
      await accept(newPlan([newTask("waiting", { pause: paused })]));
      const [waiting] = await claim();
      if (fresh === undefined || waiting === undefined) throw new Error("not claimed");
      const parked = { reason: "AWAITING_TURN", sentence: "refused", attemptIdKept: true } as const;
      const parks = [fresh, waiting].map((claimed) => ({ ...parked, claimed, resumeAfterMs: 60_000 }));
      expect(await desk.store.park(parks, owner, "resume-loop")).toBe(2);
      const head = { shapeKey: shapeKey(needs), reason: "NO_AGENT_FITS_NOW", sentence: "s" } as const;
      await desk.store.markChecked({ ...head, planId: null, freshMs: 0, after: null });
      await desk.store.ripen();
      expect(await claim()).toEqual([]);
      expect(await desk.store.queueHeads(null)).toEqual({ heads: [], next: null });
      expect(await desk.store.nextDueInMs()).toBeGreaterThan(0);
      const { items } = await desk.store.listPaused({ planId: null, reasons: null }, page);
      expect(items.map(({ taskName }) => taskName).toSorted()).toEqual(["fresh", "waiting"]);
      for (const { pause } of items) {
        expect(pause).toMatchObject({ reason: "AWAITING_TURN", sentence: "refused" });
        expect((pause.resumeAfterMs ?? 0) - (pause.lastCheckedMs ?? 0)).toBeGreaterThan(59_000);
      }
    });

    it("R-PAUSE-6: what was parked for later is taken as soon as that has passed", async () => {
      const [claimed] = await accept(newPlan([newTask("a")]));
      if (claimed === undefined) throw new Error("not claimed");
      const parked = {
        claimed,
        reason: "AWAITING_TURN",
        sentence: "",
        attemptIdKept: true,
        resumeAfterMs: 20,
      } as const;
      await desk.store.park([parked], owner, "resume-loop");
      await waitFor(async () => (await desk.store.ripen()) === 1);
      const [again] = await claim();
      if (again === undefined) throw new Error("not claimed again");
      expect(again.attemptId).toBe(claimed.attemptId);
      await desk.store.park([{ ...parked, claimed: again }], owner, "resume-loop");
      await waitFor(async () => (await desk.store.ripen()) === 1);
      expect(await claim()).toHaveLength(1);
    });

    it("R-PAUSE-6: what waits for room was last checked at the moment it was paused, in the order of its plan", async () => {
      const names = Array.from({ length: 50 }, (_, index) => `t${String(index).padStart(2, "0")}`);
      await accept(newPlan(names.map((name, position) => ({ ...newTask(name, { pause: paused }), position }))));
      const { items } = await desk.store.listPaused({ planId: null, reasons: null }, { limit: 100, after: null });
      expect(items.map((one) => one.taskName)).toEqual(names);
      for (const { pause } of items) expect(pause.lastCheckedMs).toBe(pause.pausedAtMs);
    });

    it("R-PAUSE-6: marks what was checked in vain, a part of a shape at a time; fresh rows with the same reason are left alone", async () => {
      await accept(newPlan([newTask("a", { pause: paused }), newTask("b", { pause: { ...paused, blocked: true } })]));
      const checked = {
        shapeKey: shapeKey(needs),
        planId: null,
        reason: "NO_AGENT_FITS_NOW",
        sentence: "s",
        freshMs: 0,
        after: null,
      } as const;
      expect(await desk.store.markChecked({ ...checked, shapeKey: "another" })).toEqual({ marked: 0, last: null });
      const first = await desk.store.markChecked({ ...checked, freshMs: 60_000 });
      expect(first.marked).toBe(1);
      expect(await desk.store.markChecked({ ...checked, freshMs: 60_000 })).toEqual({ marked: 0, last: first.last });
      expect((await desk.store.markChecked(checked)).marked).toBe(1);
      expect(await desk.store.markChecked({ ...checked, after: first.last })).toEqual({ marked: 0, last: null });
      const summary = await desk.store.queueSummary();
      expect(summary).toMatchObject({ waiting: 2, runningAttempts: 0 });
      expect(summary.reasons.map(({ reason }) => reason).sort()).toEqual([
        "FLEET_BELOW_THRESHOLD",
        "NO_AGENT_FITS_NOW",
      ]);
      expect(summary.oldestTurnMs).toBeGreaterThanOrEqual(0);
      const fronts = await desk.store.queueFronts([shapeKey(needs), "another"]);
      expect([...fronts.keys()]).toEqual([shapeKey(needs)]);
      expect(fronts.get(shapeKey(needs))).toBeGreaterThanOrEqual(0);
    });

    it("R-PAUSE-6: marks the first rows of many shapes together, each with what was found of it, and leaves fresh ones alone", async () => {
      const shapes = ["a", "b", "c"].map(
        (key) => ({ shapeKey: key, reason: "NO_AGENT_FITS_NOW", sentence: key }) as const,
      );
      const never = { reason: "NO_AGENT_CAN_EVER_FIT", sentence: "56 cores short", blocked: false } as const;
      await accept(
        newPlan([
          { ...newTask("a1", { pause: paused }), shapeKey: "a" },
          { ...newTask("a2", { pause: paused }), shapeKey: "a" },
          { ...newTask("b1", { pause: { ...paused, blocked: true } }), shapeKey: "b" },
          { ...newTask("c1", { pause: never }), shapeKey: "c" },
          { ...newTask("other", { pause: paused }), shapeKey: "other" },
        ]),
      );
      const told = async () => {
        const { items } = await desk.store.listPaused({ planId: null, reasons: null }, { limit: 100, after: null });
        return new Map(items.map(({ taskName, pause }) => [taskName, pause]));
      };
      const before = await told();
      const about = { planId: null, freshMs: 0, ofEach: 1 };
      expect(await desk.store.markFronts(shapes, about)).toEqual(new Set(["a", "c"]));
      const after = await told();
      expect(["a1", "a2", "b1", "c1", "other"].map((name) => after.get(name)?.sentence)).toEqual([
        "a",
        ...["a2", "b1"].map((name) => before.get(name)?.sentence),
        "c",
        before.get("other")?.sentence,
      ]);
      const busy = shapes.map((shape) => ({ ...shape, reason: "FLEET_BELOW_THRESHOLD" }) as const);
      await desk.store.markFronts([{ ...shapes[2]!, ...never, sentence: "still" }], about);
      expect(await desk.store.markFronts(busy, { ...about, ofEach: 2 })).toEqual(new Set(["a"]));
      expect((await told()).get("c1")).toMatchObject({ reason: never.reason, sentence: "still" });
      const last = await told();
      expect(await desk.store.markFronts(busy, { ...about, freshMs: 60_000, ofEach: 100 })).toEqual(new Set());
      expect(await told()).toEqual(last);
      await desk.store.markFronts(busy, { ...about, planId: randomUUID(), ofEach: 100 });
      expect(await told()).toEqual(last);
    });

    it("counts before a task only what competes with it: not what is held, waits for others, comes later or can never fit", async () => {
      const names = ["competes", "never", "dependent", "later", "mine"];
      const [competes, never, dependent, later, mine] = names.map((name) => newTask(name, { pause: paused }));
      await accept(
        newPlan([
          competes!,
          { ...never!, shapeKey: "never" },
          { ...dependent!, pause: { reason: "DEPENDENCY_PENDING", sentence: "", blocked: true } },
          { ...later!, resumeAfterMs: Date.now() + 3_600_000 },
        ]),
      );
      const held = newPlan([newTask("held", { pause: paused })]);
      await accept(held);
      const call = { requestId: "", traceparent: "" };
      await desk.store.holdPlan(held.planId, { reason: "", by: "", call }, undelivered);
      await accept(newPlan([mine!]));
      expect(await desk.store.queuePlace(mine!.taskId, 100)).toMatchObject({ higherPriority: 0, samePriority: 2 });
      const unfit = { planId: null, reason: "NO_AGENT_CAN_EVER_FIT", sentence: "s", freshMs: 0, after: null } as const;
      expect((await desk.store.markChecked({ ...unfit, shapeKey: "never" })).marked).toBe(1);
      expect(await desk.store.queuePlace(mine!.taskId, 100)).toMatchObject({
        higherPriority: 0,
        samePriority: 1,
        aheadByShape: [{ needs: competes!.needs, tasks: 1, shortestMs: competes!.expectedDurationMs }],
      });
      expect(await desk.store.queuePlace(competes!.taskId, 100)).toMatchObject({ samePriority: 0, aheadByShape: [] });
      expect(await desk.store.queuePlace(held.tasks[0]!.taskId, 100)).toBeNull();
    });

    it("tells of each shape before a task the shortest of its durations, or none where one is unknown", async () => {
      const durations = (name: string, ...expected: readonly (number | null)[]) =>
        expected.map((expectedDurationMs, index) => ({
          ...newTask(`${name}${index}`, { pause: paused, expectedDurationMs }),
          shapeKey: name,
        }));
      const last = newTask("last", { pause: paused });
      await accept(newPlan([...durations("known", 7_200_000, 10_000, 3_600_000), ...durations("partly", 5_000, null)]));
      await accept(newPlan([last]));
      const place = await desk.store.queuePlace(last.taskId, 100);
      expect(place?.aheadByShape).toEqual([
        { needs, tasks: 3, shortestMs: 10_000 },
        { needs, tasks: 2, shortestMs: null },
      ]);
    });

    describe("how long the oldest has had its turn", () => {
      const by = { reason: "", by: "", call: { requestId: "", traceparent: "" } };
      const waits = { reason: "DEPENDENCY_PENDING", sentence: "", blocked: true } as const;
      const oldestTurnMs = async () => (await desk.store.queueSummary()).oldestTurnMs;

      /** By the store's clock, to which the test's own may not be compared. */
      const nowMs = async (): Promise<number> => {
        const probe = newTask("probe", { pause: waits });
        await accept(newPlan([probe]));
        const pausedAtMs = (await desk.store.getTask(probe.taskId))?.pause?.pausedAtMs;
        if (pausedAtMs === undefined) throw new Error("the probe does not wait");
        return pausedAtMs;
      };
      /** Long enough to be seen in what is told afterwards. */
      const aWhile = async (): Promise<number> => {
        const fromMs = await nowMs();
        return waitFor(async () => {
          const now = await nowMs();
          return now - fromMs > 300 && now;
        });
      };
      /** To the millisecond, which is rounded. */
      const expectSince = async (sinceMs: number): Promise<void> => {
        const turnMs = await oldestTurnMs();
        expect(turnMs).toBeGreaterThanOrEqual(0);
        expect(turnMs).toBeLessThanOrEqual((await nowMs()) - sinceMs + 1);
      };

      it("is of none that waits for another task, for its time, under a hold, or for an agent that there is none of", async () => {
        expect(await oldestTurnMs()).toBeNull();
        const never = { reason: "NO_AGENT_CAN_EVER_FIT", sentence: "", blocked: false } as const;
        await accept(
          newPlan([
            newTask("dependent", { pause: waits }),
            newTask("later", { pause: { ...paused, reason: "RESUME_AFTER" }, resumeAfterMs: Date.now() + 3_600_000 }),
            newTask("never", { pause: never, shapeKey: "never" }),
          ]),
        );
        const held = newPlan([newTask("held", { pause: paused })]);
        await accept(held);
        await desk.store.holdPlan(held.planId, by, undelivered);
        expect(await desk.store.queueSummary()).toMatchObject({ waiting: 4, oldestTurnMs: null });
        await accept(newPlan([newTask("waits for room", { pause: paused })]));
        expect(await oldestTurnMs()).toBeGreaterThanOrEqual(0);
        await desk.store.holdQueue(by);
        expect(await desk.store.queueSummary()).toMatchObject({ waiting: 5, oldestTurnMs: null });
      });

      it("begins when what it waited for has ended", async () => {
        const a = newTask("a");
        const { agentId, first } = await start([a, newTask("b", { dependsOnTaskIds: [a.taskId], pause: waits })]);
        const endedMs = await aWhile();
        const result = resultOf(first, agentId);
        expect(await desk.store.finishAttempt(result, () => succeed(result))).toMatchObject({ released: 1 });
        await expectSince(endedMs);
      });

      it("begins at its resume_after", async () => {
        const plan = newPlan([newTask("later")]);
        const [claimed] = await accept(plan);
        if (claimed === undefined) throw new Error("not claimed");
        const parked = { claimed, reason: "RETRY_BACKOFF", sentence: "", attemptIdKept: false } as const;
        await desk.store.park([{ ...parked, resumeAfterMs: 300 }], owner, "resume-loop");
        await waitFor(async () => (await desk.store.ripen()) === 1);
        await expectSince((await desk.store.getTask(claimed.taskId))?.pause?.resumeAfterMs ?? Number.NaN);
      });

      it("begins when the pause before another run is over, whatever is found of it then", async () => {
        const plan = newPlan([newTask("again")]);
        const [claimed] = await accept(plan);
        if (claimed === undefined) throw new Error("not claimed");
        const parked = { claimed, reason: "RETRY_BACKOFF", sentence: "", attemptIdKept: false } as const;
        await desk.store.park([{ ...parked, resumeAfterMs: 500 }], owner, "resume-loop");
        expect(await oldestTurnMs()).toBeNull();
        const overMs = (await desk.store.getTask(claimed.taskId))?.pause?.resumeAfterMs ?? Number.NaN;
        await waitFor(async () => (await desk.store.ripen()) === 1);
        const found = { shapeKey: shapeKey(needs), planId: null, reason: "NO_AGENT_FITS_NOW", sentence: "s" } as const;
        expect((await desk.store.markChecked({ ...found, freshMs: 0, after: null })).marked).toBe(1);
        await expectSince(overMs);
      });

      it("goes on of what the registry refuses by itself again and again, while it waits for the next try and after", async () => {
        const plan = newPlan([newTask("refused", { pause: paused })]);
        await accept(plan);
        const queuedMs = (await desk.store.getTask(plan.tasks[0]!.taskId))?.pause?.pausedAtMs ?? Number.NaN;
        const refuse = async (resumeAfterMs: number): Promise<void> => {
          const [claimed] = await claim();
          if (claimed === undefined) throw new Error("not claimed");
          const parked = { claimed, reason: "AWAITING_TURN", sentence: "refused", attemptIdKept: true } as const;
          await desk.store.park([{ ...parked, resumeAfterMs }], owner, "resume-loop");
        };
        await aWhile();
        await refuse(100);
        await waitFor(async () => (await desk.store.ripen()) === 1);
        const ripeMs = await nowMs();
        expect(await oldestTurnMs()).toBeGreaterThanOrEqual(ripeMs - queuedMs - 1);
        await refuse(60_000);
        const laterMs = await nowMs();
        expect(await oldestTurnMs()).toBeGreaterThanOrEqual(laterMs - queuedMs - 1);
      });

      it("begins at its own resume_after also where the registry refuses it then", async () => {
        const resumeAfterMs = (await nowMs()) + 400;
        await accept(newPlan([newTask("later", { pause: { ...paused, reason: "RESUME_AFTER" }, resumeAfterMs })]));
        await waitFor(async () => (await desk.store.ripen()) === 1);
        const [claimed] = await claim();
        if (claimed === undefined) throw new Error("not claimed");
        const parked = { claimed, reason: "AWAITING_TURN", sentence: "refused", attemptIdKept: true } as const;
        await desk.store.park([{ ...parked, resumeAfterMs: 60_000 }], owner, "resume-loop");
        await expectSince(resumeAfterMs);
      });

      it("has not come for what was released before its time", async () => {
        const plan = newPlan([newTask("again")]);
        const [claimed] = await accept(plan);
        if (claimed === undefined) throw new Error("not claimed");
        const parked = { claimed, reason: "RETRY_BACKOFF", sentence: "", attemptIdKept: false } as const;
        await desk.store.park([{ ...parked, resumeAfterMs: 1_000 }], owner, "resume-loop");
        await desk.store.holdPlan(plan.planId, by, undelivered);
        await desk.store.releasePlan(plan.planId, by);
        expect(await oldestTurnMs()).toBeNull();
        await waitFor(async () => (await desk.store.ripen()) === 1);
        await expectSince((await desk.store.getTask(claimed.taskId))?.pause?.resumeAfterMs ?? Number.NaN);
      });

      it("begins when its plan is released, and for all of them when the queue is", async () => {
        const plan = newPlan([newTask("a", { pause: paused })]);
        await accept(plan);
        await desk.store.holdPlan(plan.planId, by, undelivered);
        const planReleasedMs = await aWhile();
        await desk.store.releasePlan(plan.planId, by);
        await expectSince(planReleasedMs);
        await desk.store.holdQueue(by);
        const queueReleasedMs = await aWhile();
        await desk.store.releaseQueue(by);
        await expectSince(queueReleasedMs);
      });
    });

    describe("what no agent could ever take", () => {
      const never = { reason: "NO_AGENT_CAN_EVER_FIT", sentence: "56 cores short" } as const;
      const unheard = [
        ["FLEET_BELOW_THRESHOLD", true],
        ["NO_AGENT_ONLINE", true],
        ["REGISTRY_UNAVAILABLE", false],
      ] as const;
      const checked = { shapeKey: shapeKey(needs), planId: null, sentence: "busy", after: null } as const;
      const paused = async () => (await desk.store.listPaused({ planId: null, reasons: null }, page)).items[0]?.pause;

      it.each(unheard)("is said by its row whatever %s says of the fleet; checked: %s", async (reason, isChecked) => {
        const plan = newPlan([newTask("a", { pause: { ...never, blocked: false } })]);
        await accept(plan);
        const before = await paused();
        const { marked, last } = await desk.store.markChecked({ ...checked, reason, freshMs: 0 });
        expect(marked).toBe(isChecked ? 1 : 0);
        // The place behind it is told in any case, or a poll would not come to those behind.
        expect(last).not.toBeNull();
        const after = await paused();
        expect(after).toMatchObject(never);
        expect((after?.lastCheckedMs ?? 0) > (before?.lastCheckedMs ?? 0)).toBe(isChecked);
        // Nothing new is said of it: a fresh row is left alone.
        expect(await desk.store.markChecked({ ...checked, reason, freshMs: 60_000 })).toEqual({ marked: 0, last });
        expect(await kinds(plan.planId)).not.toContain("TASK_RESUMED");
      });

      it.each(unheard)(
        "goes on to be said when it was claimed, and %s is found: checked: %s",
        async (reason, isChecked) => {
          await accept(newPlan([newTask("a", { pause: { ...never, blocked: false } })]));
          const before = await paused();
          const [claimed] = await claim();
          if (claimed === undefined) throw new Error("not claimed");
          const park = { claimed, reason, sentence: "busy", attemptIdKept: true } as const;
          expect(await desk.store.park([park], owner, "resume-loop")).toBe(1);
          const after = await paused();
          expect(after).toMatchObject(never);
          expect((after?.lastCheckedMs ?? 0) > (before?.lastCheckedMs ?? 0)).toBe(isChecked);
          expect(await claim()).toHaveLength(1);
        },
      );

      it.each(["NO_AGENT_FITS_NOW", "HELD", "NO_AGENT_CAN_EVER_FIT"] as const)(
        "is said no more, or otherwise, when %s is found",
        async (reason) => {
          await accept(newPlan([newTask("a", { pause: { ...never, blocked: false } })]));
          await desk.store.markChecked({ ...checked, reason, freshMs: 0 });
          expect(await paused()).toMatchObject({ reason, sentence: "busy" });
        },
      );

      it("gives way to what the registry could not say of this very task, which is tried at a time of its own", async () => {
        await accept(newPlan([newTask("a", { pause: { ...never, blocked: false } })]));
        const [claimed] = await claim();
        if (claimed === undefined) throw new Error("not claimed");
        const park = { claimed, reason: "REGISTRY_UNAVAILABLE", sentence: "fails", attemptIdKept: true } as const;
        await desk.store.park([{ ...park, resumeAfterMs: 60_000 }], owner, "resume-loop");
        expect(await paused()).toMatchObject({ reason: "REGISTRY_UNAVAILABLE", sentence: "fails" });
      });
    });

    it("pages through the queue, exactly once each, in order", async () => {
      for (const priority of [1, 3, 2])
        await accept(newPlan(Array.from({ length: 7 }, (_, n) => newTask(`t${n}`, { pause: paused, priority }))));
      const seen: string[] = [];
      const priorities: number[] = [];
      for (let after: string | null = null; ;) {
        const answer = await desk.store.listPaused({ planId: null, reasons: null }, { limit: 4, after });
        seen.push(...answer.items.map((one) => one.taskId));
        priorities.push(...answer.items.map((one) => one.priority));
        after = answer.next;
        if (after === null) break;
      }
      expect(new Set(seen).size).toBe(21);
      expect(priorities).toEqual([...priorities].sort((a, b) => b - a));
      await expect(
        desk.store.listPaused({ planId: null, reasons: null }, { limit: 4, after: "nonsense" }),
      ).rejects.toMatchObject({ name: "BadCursorError" });
    });

    it("lists what is not tried behind all that is, whatever its priority, on every page and of one plan too", async () => {
      const blocked = { reason: "DEPENDENCY_PENDING", sentence: "waits", blocked: true } as const;
      const tasks = Array.from({ length: 9 }, (_, index) =>
        newTask(`t${index}`, { priority: index, pause: index % 3 === 0 ? blocked : paused }),
      );
      const plan = newPlan(tasks);
      await accept(plan);
      const expected = ["t8", "t7", "t5", "t4", "t2", "t1", "t6", "t3", "t0"];
      for (const planId of [null, plan.planId]) {
        const seen: string[] = [];
        for (let after: string | null = null; ;) {
          const answer = await desk.store.listPaused({ planId, reasons: null }, { limit: 2, after });
          seen.push(...answer.items.map((one) => one.taskName));
          after = answer.next;
          if (after === null) break;
        }
        expect(seen).toEqual(expected);
      }
    });
  });
}
