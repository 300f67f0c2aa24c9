/** What every OrchestratorStore must do, whatever it is built on. Run it on each implementation. */
import { randomUUID } from "node:crypto";
import type {
  AttemptResult,
  AttemptVerdict,
  ClaimedTask,
  NewPlan,
  NewTask,
  OrchestratorStore,
} from "@headroom/orchestrator";
import type { OutputStream } from "@headroom/contracts";
import { waitFor } from "@headroom/testing";
import { normalizeNeeds, planStatus, shapeKey } from "@headroom/scheduling";
import { roomHoldConformance } from "./orchestrator-room-holds.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

export interface OrchestratorStoreUnderTest {
  readonly store: OrchestratorStore;
  /** Removes everything. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

const needs = normalizeNeeds({ cpuMillicores: 1_000 });
const leaseMs = 60_000;

function newTask(name: string, overrides: Partial<NewTask> = {}): NewTask {
  return {
    taskId: randomUUID(),
    name,
    position: 0,
    priority: 0,
    needs,
    shapeKey: shapeKey(needs),
    command: { argv: ["true"], env: { SECRET: "s" }, workingDir: null },
    resumeAfterMs: null,
    dependsOnTaskIds: [],
    maxAttempts: 3,
    retryOnFailure: false,
    holdUnknown: false,
    runTimeoutMs: null,
    waitTimeoutMs: null,
    workLeaseMs: 300_000,
    expectedDurationMs: null,
    pause: null,
    ...overrides,
  };
}

function newPlan(tasks: readonly NewTask[], overrides: Partial<NewPlan> = {}): NewPlan {
  return {
    planId: randomUUID(),
    name: "plan",
    namespace: "default",
    priority: 0,
    labels: { team: "a" },
    requestId: null,
    requestHash: "hash",
    pointMs: 600_000,
    tasks: tasks.map((task, position) => ({ ...task, position })),
    call: { requestId: "", traceparent: "" },
    ...overrides,
  };
}

const paused = { reason: "FLEET_BELOW_THRESHOLD", sentence: "full", blocked: false } as const;
const page = { limit: 100, after: null };
const succeed: (result: AttemptResult) => AttemptVerdict = () => ({
  kind: "final",
  attemptState: "succeeded",
  taskState: "succeeded",
  eventKind: "TASK_SUCCEEDED",
  sentence: "done",
});

/** Runs the suite on stores that `makeStore` gives; one store for the file, emptied before each test. */
export function orchestratorStoreConformance(makeStore: () => Promise<OrchestratorStoreUnderTest>): void {
  let under: OrchestratorStoreUnderTest;
  let store: OrchestratorStore;
  const owner = randomUUID();
  const other = randomUUID();

  beforeAll(async () => {
    under = await makeStore();
    store = under.store;
  });
  beforeEach(() => under.clear());
  afterAll(() => under.close());

  const accept = async (plan: NewPlan, by = owner): Promise<readonly ClaimedTask[]> => {
    const outcome = await store.acceptPlan(plan, { owner: by, leaseMs }, plan.tasks.length);
    if (outcome.kind !== "accepted") throw new Error(`not accepted: ${outcome.kind}`);
    return outcome.claimed;
  };
  const claim = (overrides: Partial<Parameters<OrchestratorStore["claimWaiting"]>[0]> = {}) =>
    store.claimWaiting({
      owner,
      leaseMs,
      limit: 100,
      shapeKey: shapeKey(needs),
      planId: null,
      ...overrides,
    });
  const assign = (claimed: readonly ClaimedTask[], agentId: string, sendsNow = true, by = owner) =>
    store.assign(
      claimed.map((one) => ({
        claimed: one,
        agentId,
        amounts: { cpuMillicores: 1_000, memoryMib: 0, cards: [] },
        cardIndexes: [],
        leaseLeftMs: 30_000,
        sendsNow,
      })),
      by,
      "planner",
    );
  const resultOf = (attempt: { attemptId: string; fence: number }, agentId: string): AttemptResult => ({
    attemptId: attempt.attemptId,
    fence: attempt.fence,
    agentId,
    outcome: "exited",
    exitCode: 0,
    signal: "",
    sentence: "",
    startedAtMs: null,
    finishedAtMs: null,
    used: { cpuSeconds: 1.5, memoryPeakMib: 10, gpuVramPeakMib: 0, wallTimeMs: 100 },
  });
  const kinds = async (planId: string): Promise<readonly string[]> =>
    (await store.eventsAfter(planId, 0, 1_000)).map((event) => event.kind);

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
      const record = await store.getPlan(plan.planId);
      expect(record).toMatchObject({
        name: "plan",
        labels: { team: "a" },
        finishedAtMs: null,
        counts: { pending: 2, paused: 1 },
      });
      const tasks = await store.planTasks(plan.planId);
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
      const outcomes = await Promise.all(plans.map((plan) => store.acceptPlan(plan, { owner, leaseMs }, 1)));
      expect(outcomes.filter(({ kind }) => kind === "accepted")).toHaveLength(1);
      expect(outcomes.filter(({ kind }) => kind === "request_id_used")).toHaveLength(2);
      const used = await store.findRequest(requestId);
      expect(outcomes.find(({ kind }) => kind === "request_id_used")).toMatchObject({
        planId: used?.planId,
        samePlan: true,
      });
      expect(
        await store.acceptPlan(newPlan([newTask("x")], { requestId, requestHash: "different" }), { owner, leaseMs }, 1),
      ).toMatchObject({ samePlan: false });
      const task = newTask("t");
      await accept(newPlan([task]));
      expect(await store.acceptPlan(newPlan([task]), { owner, leaseMs }, 1)).toEqual({
        kind: "task_ids_exist",
        taskIds: [task.taskId],
      });
      expect(await store.findRequest(randomUUID())).toBeNull();
    });

    it("plans that come together are all accepted, each with its history; what is wrong with one is held against no other", async () => {
      const taken = newTask("taken");
      await accept(newPlan([taken]));
      const plans = Array.from({ length: 30 }, (_, number) =>
        newPlan(number === 7 ? [taken] : [newTask("first"), newTask("second", { pause: paused })]),
      );
      const outcomes = await Promise.all(plans.map((plan) => store.acceptPlan(plan, { owner, leaseMs }, 2)));
      for (const [number, outcome] of outcomes.entries()) {
        const { planId = "", tasks = [] } = plans[number] ?? {};
        if (number === 7) {
          expect(outcome).toEqual({ kind: "task_ids_exist", taskIds: [taken.taskId] });
          expect(await store.getPlan(planId)).toBeNull();
          continue;
        }
        expect(outcome).toMatchObject({ kind: "accepted", claimed: [{ planId, taskId: tasks[0]?.taskId, fence: 1 }] });
        expect(await kinds(planId)).toEqual(["PLAN_ACCEPTED", "TASK_PAUSED"]);
      }
    });
  });

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
      expect(await store.nextDueInMs()).toBeGreaterThan(3_000_000);
      expect(await store.countDue(null)).toEqual({ cpuTasks: 3, gpuTasks: 0 });
      expect(await store.countWaiting(null, null)).toBe(5);
      expect(await store.countWaiting(null, 2)).toBe(2);
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
      const heads = await store.queueHeads(null);
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
      expect((await store.queueHeads(plan.planId)).map(({ taskName }) => taskName)).toEqual(["cpu", "gpu"]);
      expect(await store.queueHeads(randomUUID())).toEqual([]);
      expect(await claim({ planId: randomUUID() })).toEqual([]);
      expect(await claim({ shapeKey: "another" })).toEqual([]);
      expect((await claim({ shapeKey: shapeKey(gpuNeeds), planId: plan.planId })).map((one) => one.taskName)).toEqual([
        "gpu",
      ]);
      expect((await claim({ limit: 1 })).map((one) => one.taskName)).toEqual(["cpu"]);
    });

    it("ageing: a point of priority is worth so much waiting, and a task that comes back keeps its place", async () => {
      const pointMs = 50;
      await accept(newPlan([newTask("old", { pause: paused })], { pointMs }));
      await waitFor(async () => ((await store.queueFronts([shapeKey(needs)])).get(shapeKey(needs)) ?? 0) > 2 * pointMs);
      await accept(newPlan([newTask("one point", { pause: paused, priority: 1 })], { pointMs }));
      await accept(newPlan([newTask("many points", { pause: paused, priority: 1_000 })], { pointMs }));
      const inOrder = await claim();
      expect(inOrder.map((one) => one.taskName)).toEqual(["many points", "old", "one point"]);
      const agentId = randomUUID();
      const [attempt] = await assign(inOrder.slice(1, 2), agentId);
      if (attempt === undefined) throw new Error("not assigned");
      await store.undeliver(attempt, agentId, () => ({
        kind: "requeue",
        attemptState: "undelivered",
        eventKind: "TASK_NOT_DELIVERED",
        reason: "DELIVERY_FAILED",
        sentence: "away",
        resumeAfterMs: null,
        runGivenBack: true,
      }));
      await store.giveBackClaims(owner);
      expect((await claim()).map((one) => one.taskName)).toEqual(["many points", "old", "one point"]);
    });

    it("R-PAUSE-6: a row whose resume_after has passed is tried from then on, and no earlier", async () => {
      const pause = { ...paused, reason: "RESUME_AFTER" } as const;
      await accept(newPlan([newTask("later", { pause, resumeAfterMs: Date.now() + 3_000 })]));
      expect(await store.ripen()).toBe(0);
      expect(await store.queueHeads(null)).toEqual([]);
      expect(await claim()).toEqual([]);
      await waitFor(async () => (await store.ripen()) === 1);
      expect((await claim()).map((one) => one.taskName)).toEqual(["later"]);
    });

    it("an expired claim is taken over with the same attempt id and a higher fence; the old owner's writes change nothing", async () => {
      await accept(newPlan([newTask("a", { pause: paused }), newTask("b")]), other);
      const first = await claim({ leaseMs: 0 });
      expect(first).toHaveLength(1);
      const taken = await store.claimOrphans({ owner: other, leaseMs }, 10, null);
      expect(taken.map((one) => one.taskName)).toEqual(["a"]);
      expect(taken[0]).toMatchObject({ attemptId: first[0]?.attemptId, mayHoldRoom: true });
      expect(taken[0]?.fence).toBeGreaterThan(first[0]?.fence ?? 0);
      expect(await assign(first, randomUUID())).toEqual([]);
      expect(
        await store.park(
          first.map((claimed) => ({ claimed, reason: "NO_AGENT_FITS_NOW", sentence: "", attemptIdKept: false })),
          owner,
          "resume-loop",
        ),
      ).toBe(0);
      expect(await assign(taken, randomUUID(), true, other)).toHaveLength(1);
    });

    it("giving claims back lets others take over at once", async () => {
      await accept(newPlan([newTask("a")]));
      expect(await store.claimOrphans({ owner: other, leaseMs }, 10, null)).toEqual([]);
      expect(await store.giveBackClaims(owner)).toBe(1);
      expect(await store.claimOrphans({ owner: other, leaseMs }, 10, null)).toHaveLength(1);
    });
  });

  describe("the queue", () => {
    it("R-PAUSE-4: parking gives a new task its row once, and keeps a waiting one's; the attempt id is kept only when told", async () => {
      const plan = newPlan([newTask("a")]);
      const [claimed] = await accept(plan);
      if (claimed === undefined) throw new Error("not claimed");
      expect(
        await store.park(
          [{ claimed, reason: "NO_AGENT_FITS_NOW", sentence: "short", attemptIdKept: true }],
          owner,
          "planner",
        ),
      ).toBe(1);
      const [again] = await claim();
      if (again === undefined) throw new Error("not claimed again");
      expect(again).toMatchObject({ attemptId: claimed.attemptId, mayHoldRoom: true, state: "paused" });
      expect(
        await store.park(
          [{ claimed: again, reason: "NO_AGENT_CAN_EVER_FIT", sentence: "never", attemptIdKept: false }],
          owner,
          "resume-loop",
        ),
      ).toBe(1);
      const [third] = await claim();
      expect(third?.attemptId).not.toBe(claimed.attemptId);
      const listed = await store.listPaused({ planId: null, reasons: null }, page);
      expect(listed).toMatchObject({
        items: [{ taskName: "a", planName: "plan", pause: { reason: "NO_AGENT_CAN_EVER_FIT", sentence: "never" } }],
      });
      expect(await store.listPaused({ planId: null, reasons: ["HELD"] }, page)).toEqual({ items: [], next: null });
      expect(await store.countPaused(plan.planId, null)).toBe(1);
      expect(await store.countPaused(plan.planId, ["HELD"])).toBe(0);
      expect(await kinds(plan.planId)).toEqual(["PLAN_ACCEPTED", "TASK_PAUSED"]);
    });

    it("R-PAUSE-6: what waits for room was last checked at the moment it was paused, in the order of its plan", async () => {
      const names = Array.from({ length: 50 }, (_, index) => `t${String(index).padStart(2, "0")}`);
      await accept(newPlan(names.map((name, position) => ({ ...newTask(name, { pause: paused }), position }))));
      const { items } = await store.listPaused({ planId: null, reasons: null }, { limit: 100, after: null });
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
      expect(await store.markChecked({ ...checked, shapeKey: "another" })).toEqual({ marked: 0, last: null });
      const first = await store.markChecked({ ...checked, freshMs: 60_000 });
      expect(first.marked).toBe(1);
      expect(await store.markChecked({ ...checked, freshMs: 60_000 })).toEqual({ marked: 0, last: first.last });
      expect((await store.markChecked(checked)).marked).toBe(1);
      expect(await store.markChecked({ ...checked, after: first.last })).toEqual({ marked: 0, last: null });
      const summary = await store.queueSummary();
      expect(summary).toMatchObject({ waiting: 2, runningAttempts: 0 });
      expect(summary.reasons.map(({ reason }) => reason).sort()).toEqual([
        "FLEET_BELOW_THRESHOLD",
        "NO_AGENT_FITS_NOW",
      ]);
      expect(summary.oldestAgeMs).toBeGreaterThanOrEqual(0);
      const fronts = await store.queueFronts([shapeKey(needs), "another"]);
      expect([...fronts.keys()]).toEqual([shapeKey(needs)]);
      expect(fronts.get(shapeKey(needs))).toBeGreaterThanOrEqual(0);
    });

    it("pages through the queue, exactly once each, in order", async () => {
      for (const priority of [1, 3, 2])
        await accept(newPlan(Array.from({ length: 7 }, (_, n) => newTask(`t${n}`, { pause: paused, priority }))));
      const seen: string[] = [];
      const priorities: number[] = [];
      for (let after: string | null = null; ;) {
        const answer = await store.listPaused({ planId: null, reasons: null }, { limit: 4, after });
        seen.push(...answer.items.map((one) => one.taskId));
        priorities.push(...answer.items.map((one) => one.priority));
        after = answer.next;
        if (after === null) break;
      }
      expect(new Set(seen).size).toBe(21);
      expect(priorities).toEqual([...priorities].sort((a, b) => b - a));
      await expect(
        store.listPaused({ planId: null, reasons: null }, { limit: 4, after: "nonsense" }),
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
          const answer = await store.listPaused({ planId, reasons: null }, { limit: 2, after });
          seen.push(...answer.items.map((one) => one.taskName));
          after = answer.next;
          if (after === null) break;
        }
        expect(seen).toEqual(expected);
      }
    });
  });

  describe("room kept for large tasks", () =>
    roomHoldConformance(
      () => store,
      async () => {
        const task = newTask("large", { pause: paused });
        const plan = newPlan([task]);
        await accept(plan);
        return { taskId: task.taskId, planId: plan.planId };
      },
    ));

  describe("attempts", () => {
    const start = async (tasks: readonly NewTask[] = [newTask("a")], sendsNow = true) => {
      const agentId = randomUUID();
      const plan = newPlan(tasks);
      const claimed = await accept(plan);
      const sent = await assign(claimed, agentId, sendsNow);
      const [first] = sent;
      if (first === undefined) throw new Error("nothing was assigned");
      return { agentId, plan, sent, first };
    };

    it("an assignment carries all that the agent needs; the queue row is resumed with it", async () => {
      await accept(newPlan([newTask("a", { pause: paused, runTimeoutMs: 5_000 })]));
      const agentId = randomUUID();
      const [sent] = await assign(await claim(), agentId);
      expect(sent).toMatchObject({
        agentId,
        taskName: "a",
        fence: 1,
        command: { argv: ["true"], env: { SECRET: "s" } },
        runTimeoutMs: 5_000,
        workLeaseMs: 300_000,
        acceptWithinMs: 30_000,
      });
      expect(await store.countWaiting(null, null)).toBe(0);
      expect(await store.openAttempts(agentId)).toMatchObject([
        { attemptId: sent?.attemptId, state: "assigned", sent: true },
      ]);
      expect((await kinds(sent?.planId ?? "")).slice(-2)).toEqual(["TASK_RESUMED", "TASK_ASSIGNED"]);
    });

    it("what was not sent is found by whoever holds the agent, once; or taken back when it is too late", async () => {
      const { agentId, first } = await start([newTask("a")], false);
      expect(await store.findUndelivered(60_000, 10)).toEqual([]);
      expect(await store.findUndelivered(0, 10)).toMatchObject([{ attemptId: first.attemptId }]);
      const [one, two] = await Promise.all([store.takeToSend([agentId], 60_000), store.takeToSend([agentId], 60_000)]);
      expect(one.length + two.length).toBe(1);
      expect(await store.findUndelivered(0, 10)).toEqual([]);
      expect(await store.takeBackUnsent(first, () => ({ kind: "repeat" }))).toBeNull();
      expect(await store.takeToSend([agentId], 0)).toHaveLength(1);
      expect(await store.takeToSendAgain([first.attemptId])).toMatchObject([{ fence: first.fence }]);
    });

    it("accepted, started, renewed: only by its agent and under its fence", async () => {
      const { agentId, first } = await start();
      expect(await store.acceptAttempt(first, randomUUID())).toBeNull();
      expect(await store.acceptAttempt({ ...first, fence: first.fence + 1 }, agentId)).toBeNull();
      expect(await store.acceptAttempt({ attemptId: randomUUID(), fence: 1 }, agentId)).toBeNull();
      expect(await store.acceptAttempt(first, agentId)).toMatchObject({ state: "running" });
      expect(await store.acceptAttempt(first, agentId)).toMatchObject({ state: "running" });
      expect(await store.markStarted(first, agentId, Date.now())).toMatchObject({ state: "running" });
      expect(await store.renewLeases([first], agentId)).toMatchObject([{ attemptId: first.attemptId }]);
      expect(await store.renewLeases([first], randomUUID())).toEqual([]);
      expect((await kinds(first.planId)).filter((kind) => kind === "TASK_ACCEPTED" || kind === "TASK_STARTED")).toEqual(
        ["TASK_ACCEPTED", "TASK_STARTED"],
      );
      expect((await store.getTask(first.taskId))?.state).toBe("running");
    });

    it("a result ends attempt, task and plan in one step, and is seen by the decision with what it needs", async () => {
      const { agentId, first, plan } = await start();
      const applied = await store.finishAttempt(resultOf(first, agentId), (situation) => {
        expect(situation).toMatchObject({
          attemptState: "assigned",
          attemptFence: first.fence,
          superseded: false,
          taskState: "assigned",
          runsUsed: 1,
          maxAttempts: 3,
          cancelRequested: false,
        });
        return succeed(resultOf(first, agentId));
      });
      expect(applied).toMatchObject({ planId: plan.planId, taskId: first.taskId });
      const task = await store.getTask(first.taskId);
      expect(task).toMatchObject({
        state: "succeeded",
        outcomeReason: "done",
        attempts: [{ state: "succeeded", exitCode: 0, reason: "EXITED", used: { cpuSeconds: 1.5 } }],
      });
      expect((await store.getPlan(plan.planId))?.finishedAtMs).not.toBeNull();
      expect((await kinds(plan.planId)).slice(-2)).toEqual(["TASK_SUCCEEDED", "PLAN_SUCCEEDED"]);
      expect(
        await store.finishAttempt(resultOf({ attemptId: randomUUID(), fence: 1 }, agentId), () => ({ kind: "repeat" })),
      ).toBeNull();
    });

    it("a requeue puts the task back with its reason and time, and its next attempt has a new id and a higher fence", async () => {
      const { agentId, first } = await start();
      await store.finishAttempt(resultOf(first, agentId), () => ({
        kind: "requeue",
        attemptState: "failed",
        eventKind: "TASK_ATTEMPT_FAILED",
        reason: "RETRY_BACKOFF",
        sentence: "again",
        resumeAfterMs: 3_600_000,
        runGivenBack: false,
      }));
      const task = await store.getTask(first.taskId);
      expect(task).toMatchObject({ state: "paused", pause: { reason: "RETRY_BACKOFF", sentence: "again" } });
      expect(task?.pause?.resumeAfterMs).toBeGreaterThan(Date.now() + 3_000_000);
      expect(await claim()).toEqual([]);
      const late = await store.finishAttempt(resultOf(first, agentId), (situation) => {
        expect(situation.attemptState).toBe("failed");
        return { kind: "refused", sentence: "late" };
      });
      expect(late?.verdict.kind).toBe("refused");
      expect((await kinds(first.planId)).at(-1)).toBe("TASK_RESULT_REFUSED");
    });

    it("undelivered: the run is given back, at once, and no other agent's word counts", async () => {
      const { agentId, first } = await start([newTask("a", { maxAttempts: 1 })]);
      const verdict: AttemptVerdict = {
        kind: "requeue",
        attemptState: "undelivered",
        eventKind: "TASK_NOT_DELIVERED",
        reason: "DELIVERY_FAILED",
        sentence: "no",
        resumeAfterMs: null,
        runGivenBack: true,
      };
      expect(await store.undeliver(first, randomUUID(), () => verdict)).toBeNull();
      expect(await store.undeliver(first, agentId, () => verdict)).not.toBeNull();
      const [again] = await claim();
      expect(again?.attemptId).not.toBe(first.attemptId);
      const [second] = again === undefined ? [] : await assign([again], agentId);
      expect(second?.fence).toBeGreaterThan(first.fence);
      await store.finishAttempt(resultOf(second ?? first, agentId), (situation) => {
        expect(situation.runsUsed).toBe(1);
        return succeed(resultOf(second ?? first, agentId));
      });
      expect((await store.getTask(first.taskId))?.attempts.map((attempt) => attempt.number)).toEqual([2, 1]);
    });

    it("a lease that has not ended is not lost", async () => {
      const { first } = await start();
      expect(await store.findLost(0, 10)).toEqual([]);
      expect(await store.loseAttempt(first, 0, () => ({ kind: "repeat" }))).toBeNull();
      expect(await store.reservationsEndingWithin(60_000, 10)).toEqual([
        { attemptId: first.attemptId, fence: first.fence },
      ]);
      await store.noteReservationsRenewed([{ attemptId: first.attemptId, leaseLeftMs: 600_000 }]);
      expect(await store.reservationsEndingWithin(60_000, 10)).toEqual([]);
    });

    it("dependents: released one by one, cancelled all the way down", async () => {
      const waits = { reason: "DEPENDENCY_PENDING", sentence: "waits", blocked: true } as const;
      const a = newTask("a");
      const b = newTask("b");
      const c = newTask("c", { dependsOnTaskIds: [a.taskId, b.taskId], pause: waits });
      const d = newTask("d", { dependsOnTaskIds: [c.taskId], pause: waits });
      const { agentId, sent, plan } = await start([a, b, c, d]);
      const [first, second] = sent;
      if (first === undefined || second === undefined) throw new Error("two tasks must start");
      expect(
        await store.finishAttempt(resultOf(first, agentId), () => succeed(resultOf(first, agentId))),
      ).toMatchObject({ released: 0 });
      expect(
        await store.finishAttempt(resultOf(second, agentId), () => succeed(resultOf(second, agentId))),
      ).toMatchObject({ released: 1 });
      const [third] = await assign(await claim(), agentId);
      if (third === undefined) throw new Error("c must start");
      await store.finishAttempt(resultOf(third, agentId), () => ({
        kind: "final",
        attemptState: "failed",
        taskState: "failed",
        eventKind: "TASK_FAILED",
        sentence: "code 1",
      }));
      const record = await store.getPlan(plan.planId);
      expect(record?.counts).toMatchObject({ succeeded: 2, failed: 1, cancelled: 1 });
      expect(record?.finishedAtMs).not.toBeNull();
      expect((await kinds(plan.planId)).at(-1)).toBe("PLAN_FAILED");
    });

    const chunk = (seq: number, text: string, stream: OutputStream = "stdout") => ({
      seq,
      stream,
      atMs: Date.now(),
      data: Buffer.from(text),
    });
    const textsAfter = async (attemptId: string, seq: number, limit = 10) =>
      (await store.readOutput(attemptId, seq, limit)).map((one) => Buffer.from(one.data).toString());

    it("output: kept once, in order and whole up to the bound", async () => {
      const { agentId, first } = await start();
      expect(await store.appendOutput(first, agentId, [chunk(2, "b"), chunk(1, "a")], 4)).toBe(2);
      expect(await store.appendOutput(first, agentId, [chunk(2, "b"), chunk(3, "cd")], 4)).toBe(3);
      expect(await store.appendOutput({ attemptId: randomUUID(), fence: 1 }, agentId, [chunk(1, "x")], 4)).toBeNull();
      // An agent speaks only for itself.
      expect(await store.appendOutput(first, randomUUID(), [chunk(4, "forged")], 99)).toBeNull();
      expect(await textsAfter(first.attemptId, 0)).toEqual(["a", "b", "cd"]);
      expect(await textsAfter(first.attemptId, 1)).toEqual(["b", "cd"]);
      expect(await store.outputDroppedBytes(first.attemptId)).toBe(0);
    });

    it("output: beyond the bound beginning and end are kept, with one note in between", async () => {
      const { agentId, first } = await start();
      const { attemptId } = first;
      const piece = (seq: number) => chunk(seq, String(seq).padStart(10, "."));
      for (let seq = 1; seq <= 30; seq += 2) {
        expect(await store.appendOutput(first, agentId, [piece(seq), piece(seq + 1)], 80)).toBe(seq + 1);
        // Whoever follows closely misses nothing, and sees no note.
        expect(await textsAfter(attemptId, seq - 1)).toEqual([seq, seq + 1].map((n) => String(n).padStart(10, ".")));
      }
      const note = expect.stringMatching(/^220 bytes of output left out here/);
      const all = await textsAfter(attemptId, 0);
      expect(all.map((text) => Number(/^\.*(\d+)$/.exec(text)?.[1] ?? -1))).toEqual([1, 2, 3, 4, 5, 6, -1, 29, 30]);
      expect(all[6]).toEqual(note);
      // Page by page the same; and whoever is behind is told.
      expect(await textsAfter(attemptId, 6, 1)).toEqual([note]);
      expect(await textsAfter(attemptId, 20, 2)).toEqual([note, "........29"]);
      const [noteRow] = await store.readOutput(attemptId, 6, 1);
      expect(noteRow).toMatchObject({ seq: 28, stream: "headroom" });
      expect(await textsAfter(attemptId, 28)).toEqual(["........29", "........30"]);
      expect(await store.outputDroppedBytes(attemptId)).toBe(0);
    });

    it("output: what an agent left out is counted in the one note", async () => {
      const { agentId, first } = await start();
      const told = "1000 bytes of output left out here: too fast\n";
      await store.appendOutput(first, agentId, [chunk(1, "a".repeat(70)), chunk(2, told, "headroom")], 80);
      await store.appendOutput(
        first,
        agentId,
        [chunk(9, "b".repeat(30)), chunk(10, "c".repeat(9)), chunk(11, "END")],
        80,
      );
      const texts = await textsAfter(first.attemptId, 0);
      expect(texts).toEqual([
        expect.stringMatching(/^1070 bytes of output left out here/),
        "b".repeat(30),
        "c".repeat(9),
        "END",
      ]);
    });
  });

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
      const outcome = await store.cancelPlan(plan.planId, "enough", "planner");
      expect(outcome).toMatchObject({ cancelledTasks: 3, running: [{ agentId }], takenBack: [{ agentId }] });
      expect((await store.getPlan(plan.planId))?.counts).toMatchObject({ assigned: 1, cancelled: 3 });
      expect(await store.takeToCancel([agentId], 60_000)).toHaveLength(1);
      expect(await store.takeToCancel([agentId], 60_000)).toEqual([]);
      expect(await assign(byName("pending"), agentId)).toEqual([]);
      expect(await store.cancelPlan(plan.planId, "enough", "planner")).toMatchObject({
        cancelledTasks: 0,
        running: [{ agentId }],
      });
      expect(await store.cancelPlan(randomUUID(), "", "planner")).toBeNull();
      expect((await kinds(plan.planId)).filter((kind) => kind === "PLAN_CANCEL_REQUESTED")).toHaveLength(1);
    });

    it("one task: unknown, finished, or cancelled with what depends on it", async () => {
      const a = newTask("a", { pause: paused });
      const plan = newPlan([a, newTask("b", { dependsOnTaskIds: [a.taskId], pause: { ...paused, blocked: true } })]);
      await accept(plan);
      expect(await store.cancelTask(randomUUID(), "", "planner")).toEqual({ kind: "unknown" });
      expect(await store.cancelTask(a.taskId, "", "planner")).toMatchObject({ kind: "cancelled", cancelledTasks: 2 });
      expect(await store.cancelTask(a.taskId, "", "planner")).toEqual({ kind: "finished", state: "cancelled" });
      expect((await kinds(plan.planId)).at(-1)).toBe("PLAN_CANCELLED");
    });
  });

  describe("reading", () => {
    it("lists plans by status as planStatus reads it, by name, and page by page", async () => {
      await accept(newPlan([newTask("a", { pause: paused })], { name: "p1" }));
      await accept(newPlan([newTask("a")], { name: "p2" }));
      await accept(newPlan([newTask("a"), newTask("b", { pause: paused })], { name: "p3" }));
      const all = await store.listPlans({ statuses: [], name: "" }, page);
      expect(all.items.map((plan) => plan.name)).toEqual(["p3", "p2", "p1"]);
      for (const status of ["dispatched", "partly_paused", "paused", "succeeded"] as const) {
        const some = await store.listPlans({ statuses: [status], name: "" }, page);
        expect(some.items.map((plan) => plan.name)).toEqual(
          all.items.filter((plan) => planStatus(plan.counts) === status).map((plan) => plan.name),
        );
      }
      expect((await store.listPlans({ statuses: [], name: "p2" }, page)).items).toHaveLength(1);
      const first = await store.listPlans({ statuses: [], name: "" }, { limit: 2, after: null });
      const second = await store.listPlans({ statuses: [], name: "" }, { limit: 2, after: first.next });
      expect([...first.items, ...second.items].map((plan) => plan.name)).toEqual(["p3", "p2", "p1"]);
      expect(second.next).toBeNull();
      expect((await store.listTasks({ planId: null, states: ["paused"] }, page)).items).toHaveLength(2);
      expect(await store.getPlan(randomUUID())).toBeNull();
      expect(await store.getTask(randomUUID())).toBeNull();
      expect(await store.findAttempt(randomUUID(), null)).toBeNull();
    });
  });
}
