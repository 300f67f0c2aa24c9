/** From assignment to end, each step once and under its fence. */
import { randomUUID } from "node:crypto";
import type { AttemptVerdict } from "@headroom/orchestrator";
import { describe, expect, it } from "vitest";
import { newPlan, newTask, paused, succeed, type StoreDesk } from "./desk.ts";

const notDue = {
  undeliveredAfterMs: 60_000,
  lostAfterMs: 60_000,
  renewAheadMs: 0,
  limit: 10,
  exceptPlanIds: [],
  exceptLostIds: [],
  clockSetAgoMs: null,
} as const;

export function attemptsConformance(desk: StoreDesk): void {
  const { accept, claim, assign, resultOf, kinds, start } = desk;

  describe("attempts", () => {
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
      expect(await desk.store.countWaiting(null, null)).toBe(0);
      expect(await desk.store.openAttempts(agentId)).toMatchObject([
        { attemptId: sent?.attemptId, state: "assigned", sent: true },
      ]);
      expect((await kinds(sent?.planId ?? "")).slice(-2)).toEqual(["TASK_RESUMED", "TASK_ASSIGNED"]);
    });

    it("what was not sent is found by whoever holds the agent, once; or taken back when it is too late", async () => {
      const { agentId, first } = await start([newTask("a")], false);
      expect(await desk.store.findDueAttempts(notDue)).toMatchObject({ undelivered: [], lost: [], unanswered: [] });
      expect(await desk.store.findDueAttempts({ ...notDue, undeliveredAfterMs: 0 })).toMatchObject({
        undelivered: [{ attemptId: first.attemptId }],
        lost: [],
        unanswered: [],
      });
      const inAMinute = { agentIds: [agentId], afterMs: 60_000, withinMs: 60_000, exceptAttemptIds: [] };
      const [one, two] = await Promise.all([
        desk.store.takeToSend([agentId], inAMinute),
        desk.store.takeToSend([agentId], inAMinute),
      ]);
      expect(one.length + two.length).toBe(1);
      expect((await desk.store.findDueAttempts({ ...notDue, undeliveredAfterMs: 0 })).undelivered).toEqual([]);
      expect(await desk.store.takeBackUnsent(first, () => ({ kind: "repeat" }))).toBeNull();
      const now = { afterMs: 0, withinMs: 60_000, exceptAttemptIds: [] };
      const refused = { ...now, agentIds: [agentId], exceptAttemptIds: [first.attemptId] };
      expect(await desk.store.takeToSend([agentId], refused)).toEqual([]);
      expect(await desk.store.takeToSend([agentId], { ...now, agentIds: [] })).toEqual([]);
      expect(await desk.store.takeToSend([agentId], { ...now, agentIds: [agentId] })).toHaveLength(1);
      expect(await desk.store.takeToSendAgain([first.attemptId], 0)).toMatchObject({
        assignments: [{ fence: first.fence }],
        inUse: [],
      });
    });

    it("what was given out too long ago is not sent again; what was never sent is, and to an agent that is back for as long as its lease", async () => {
      const { agentId, first } = await start([newTask("a", { workLeaseMs: 0 })], false);
      const again = { agentIds: [agentId], afterMs: 0, withinMs: 0, exceptAttemptIds: [] };
      const sentAgain = async (withinMs: number) => {
        const { assignments, inUse } = await desk.store.takeToSendAgain([first.attemptId], withinMs);
        expect(inUse).toEqual([]);
        return assignments;
      };
      expect(await sentAgain(0)).toHaveLength(1);
      expect(await desk.store.takeToSend([agentId], again)).toEqual([]);
      expect(await desk.store.takeToSend([agentId], { ...again, withinMs: 60_000 })).toHaveLength(1);
      expect(await sentAgain(0)).toEqual([]);
      expect(await sentAgain(60_000)).toHaveLength(1);
      const unsent = await start([newTask("b")], false);
      expect(await desk.store.takeToSend([unsent.agentId], { ...again, agentIds: [unsent.agentId] })).toHaveLength(1);
    });

    it("tells until when an attempt may go on without a word of its agent, and since when there was none", async () => {
      const { agentId, first } = await start([newTask("a", { workLeaseMs: 300_000 })]);
      const unanswered = await desk.store.workLease(first.attemptId);
      expect(unanswered).toMatchObject({ sent: true, renewedAtMs: null, runsUsed: 1 });
      expect((unanswered?.expiresAtMs ?? 0) - (unanswered?.nowMs ?? 0)).toBeGreaterThan(320_000);
      await desk.store.acceptAttempt(first, agentId);
      const accepted = await desk.store.workLease(first.attemptId);
      expect((accepted?.expiresAtMs ?? 0) - (accepted?.renewedAtMs ?? 0)).toBeCloseTo(300_000);
      expect((accepted?.nowMs ?? 0) - (accepted?.renewedAtMs ?? 0)).toBeLessThan(10_000);
      const result = resultOf(first, agentId);
      await desk.store.finishAttempt(result, () => succeed(result));
      expect(await desk.store.workLease(first.attemptId)).toBeNull();
    });

    it("accepted, started, renewed: only by its agent and under its fence", async () => {
      const { agentId, first } = await start();
      expect(await desk.store.acceptAttempt(first, randomUUID())).toBeNull();
      expect(await desk.store.acceptAttempt({ ...first, fence: first.fence + 1 }, agentId)).toBeNull();
      expect(await desk.store.acceptAttempt({ attemptId: randomUUID(), fence: 1 }, agentId)).toBeNull();
      expect(await desk.store.acceptAttempt(first, agentId)).toMatchObject({ state: "running" });
      expect(await desk.store.acceptAttempt(first, agentId)).toMatchObject({ state: "running" });
      expect(await desk.store.markStarted(first, agentId, Date.now())).toMatchObject({ state: "running" });
      expect(await desk.store.renewLeases([first], agentId, "never")).toMatchObject({
        renewed: [{ attemptId: first.attemptId }],
        inUse: [],
      });
      expect(await desk.store.renewLeases([first], agentId, "briefly")).toMatchObject({
        renewed: [{ attemptId: first.attemptId }],
      });
      for (const waits of ["never", "briefly"] as const) {
        expect(await desk.store.renewLeases([first], randomUUID(), waits)).toEqual({ renewed: [], inUse: [] });
      }
      expect((await kinds(first.planId)).filter((kind) => kind === "TASK_ACCEPTED" || kind === "TASK_STARTED")).toEqual(
        ["TASK_ACCEPTED", "TASK_STARTED"],
      );
      expect((await desk.store.getTask(first.taskId))?.state).toBe("running");
    });

    it("a result ends attempt, task and plan in one step, and is seen by the decision with what it needs", async () => {
      const { agentId, first, plan } = await start();
      const applied = await desk.store.finishAttempt(resultOf(first, agentId), (situation) => {
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
      const task = await desk.store.getTask(first.taskId);
      expect(task).toMatchObject({
        state: "succeeded",
        outcomeReason: "done",
        attempts: [{ state: "succeeded", exitCode: 0, reason: "EXITED", used: { cpuSeconds: 1.5 } }],
      });
      expect((await desk.store.getPlan(plan.planId))?.finishedAtMs).not.toBeNull();
      expect((await kinds(plan.planId)).slice(-2)).toEqual(["TASK_SUCCEEDED", "PLAN_SUCCEEDED"]);
      expect(
        await desk.store.finishAttempt(resultOf({ attemptId: randomUUID(), fence: 1 }, agentId), () => ({
          kind: "repeat",
        })),
      ).toBeNull();
    });

    it("a requeue puts the task back with its reason and time, and its next attempt has a new id and a higher fence", async () => {
      const { agentId, first } = await start();
      await desk.store.finishAttempt(resultOf(first, agentId), () => ({
        kind: "requeue",
        attemptState: "failed",
        eventKind: "TASK_ATTEMPT_FAILED",
        reason: "RETRY_BACKOFF",
        sentence: "again",
        resumeAfterMs: 3_600_000,
        runGivenBack: false,
      }));
      const task = await desk.store.getTask(first.taskId);
      expect(task).toMatchObject({ state: "paused", pause: { reason: "RETRY_BACKOFF", sentence: "again" } });
      expect(task?.pause?.resumeAfterMs).toBeGreaterThan(Date.now() + 3_000_000);
      expect(await claim()).toEqual([]);
      const late = await desk.store.finishAttempt(resultOf(first, agentId), (situation) => {
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
      expect(await desk.store.undeliver(first, randomUUID(), () => verdict)).toBeNull();
      expect(await desk.store.undeliver(first, agentId, () => verdict)).not.toBeNull();
      const [again] = await claim();
      expect(again?.attemptId).not.toBe(first.attemptId);
      const [second] = again === undefined ? [] : await assign([again], agentId);
      expect(second?.fence).toBeGreaterThan(first.fence);
      await desk.store.finishAttempt(resultOf(second ?? first, agentId), (situation) => {
        expect(situation.runsUsed).toBe(1);
        return succeed(resultOf(second ?? first, agentId));
      });
      expect((await desk.store.getTask(first.taskId))?.attempts.map((attempt) => attempt.number)).toEqual([2, 1]);
    });

    it("a lease that has not ended is not lost", async () => {
      const { first } = await start();
      const endsSoon = { ...notDue, lostAfterMs: 0, renewAheadMs: 60_000 };
      expect(await desk.store.loseAttempt(first, 0, () => ({ kind: "repeat" }))).toBeNull();
      expect(await desk.store.findDueAttempts(endsSoon)).toMatchObject({
        undelivered: [],
        lost: [],
        unanswered: [{ attemptId: first.attemptId, fence: first.fence }],
      });
      await desk.store.noteReservationsRenewed([{ attemptId: first.attemptId, leaseLeftMs: 600_000 }]);
      expect((await desk.store.findDueAttempts(endsSoon)).unanswered).toEqual([]);
    });

    it("of plans that are left out only what is to be renewed is due; what nobody has locked is in nobody's use", async () => {
      const { first: sent, plan } = await start();
      const unsent = await start([newTask("b")], false);
      const all = { ...notDue, undeliveredAfterMs: 0, renewAheadMs: 60_000 };
      const due = await desk.store.findDueAttempts({ ...all, exceptPlanIds: [plan.planId] });
      expect(due).toMatchObject({ undelivered: [{ attemptId: unsent.first.attemptId }], unanswered: [{}] });
      const rest = await desk.store.findDueAttempts({ ...all, exceptPlanIds: [plan.planId, unsent.plan.planId] });
      expect(rest).toMatchObject({ undelivered: [], unanswered: [{ attemptId: sent.attemptId }] });
      expect(await desk.store.attemptsInUse([sent.attemptId, unsent.first.attemptId])).toEqual(new Set());
      // By a lease that ends in a year all are lost by now.
      const lost = { ...notDue, lostAfterMs: -365 * 86_400_000 };
      const [first, second] = [sent, unsent.first].map(({ attemptId }) => ({ attemptId }));
      expect((await desk.store.findDueAttempts(lost)).lost).toMatchObject([first, second]);
      const but = { ...lost, exceptLostIds: [sent.attemptId] };
      expect((await desk.store.findDueAttempts(but)).lost).toMatchObject([second]);
    });

    it("since the database's clock was set ahead nothing is lost before its whole lease and the grace; the answer tells the time", async () => {
      const [claimed] = await accept(newPlan([newTask("a")]));
      const agentId = randomUUID();
      const amounts = { cpuMillicores: 1_000, memoryMib: 0, cards: [] };
      // Its lease of 300 s ended 600 s ago.
      const long = { claimed: claimed!, agentId, amounts, cardIndexes: [], leaseLeftMs: -900_000, sendsNow: true };
      await desk.store.assign([long], desk.owner, "planner");
      const lost = { ...notDue, lostAfterMs: 30_000 };
      const { nowMs, lost: found } = await desk.store.findDueAttempts(lost);
      expect(found).toHaveLength(1);
      expect((await desk.store.findDueAttempts(lost)).nowMs).toBeGreaterThanOrEqual(nowMs);
      const isLost = async (clockSetAgoMs: number): Promise<boolean> =>
        (await desk.store.findDueAttempts({ ...lost, clockSetAgoMs })).lost.length === 1;
      expect([await isLost(0), await isLost(329_999), await isLost(330_000)]).toEqual([false, false, true]);
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
        await desk.store.finishAttempt(resultOf(first, agentId), () => succeed(resultOf(first, agentId))),
      ).toMatchObject({ released: 0 });
      expect(
        await desk.store.finishAttempt(resultOf(second, agentId), () => succeed(resultOf(second, agentId))),
      ).toMatchObject({ released: 1 });
      const [third] = await assign(await claim(), agentId);
      if (third === undefined) throw new Error("c must start");
      await desk.store.finishAttempt(resultOf(third, agentId), () => ({
        kind: "final",
        attemptState: "failed",
        taskState: "failed",
        eventKind: "TASK_FAILED",
        sentence: "code 1",
      }));
      const record = await desk.store.getPlan(plan.planId);
      expect(record?.counts).toMatchObject({ succeeded: 2, failed: 1, cancelled: 1 });
      expect(record?.finishedAtMs).not.toBeNull();
      expect((await kinds(plan.planId)).at(-1)).toBe("PLAN_FAILED");
    });
  });
}
