/** What every OrchestratorStore must do about room that is kept for a waiting task. */
import { randomUUID } from "node:crypto";
import type { OrchestratorStore } from "@headroom/orchestrator";
import type { RoomHold } from "@headroom/scheduling";
import { waitFor } from "@headroom/testing";
import { expect, it } from "vitest";

/** `pausedTask` accepts a task that waits for room and answers its ids. */
export function roomHoldConformance(
  store: () => OrchestratorStore,
  pausedTask: () => Promise<{ readonly taskId: string; readonly planId: string }>,
): void {
  const holdOf = (taskId: string, over: Partial<RoomHold> = {}): RoomHold => ({
    taskId,
    agentId: randomUUID(),
    readyInMs: 5_000,
    leftMs: 60_000,
    lastsMs: 60_000,
    times: 1,
    ...over,
  });

  it("keeps an agent for one task, a task one agent, whoever asks at the same moment", async () => {
    const [one, two] = [await pausedTask(), await pausedTask()];
    const hold = holdOf(one.taskId);
    const rivals = [hold, holdOf(one.taskId), holdOf(two.taskId, { agentId: hold.agentId })];
    const won = await Promise.all(rivals.map((rival) => store().keepRoom(rival, "kept", 9)));
    expect(won.filter(Boolean).length).toBeLessThanOrEqual(2);
    const held = await store().roomHolds();
    expect(held).toHaveLength(won.filter(Boolean).length);
    expect(new Set(held.map(({ agentId }) => agentId)).size).toBe(held.length);
    expect(new Set(held.map(({ taskId }) => taskId)).size).toBe(held.length);
    expect(held[0]).toMatchObject({ lastsMs: 60_000, times: 1 });
    expect(held[0]?.leftMs).toBeGreaterThan(30_000);
    expect(await store().keepRoom(holdOf(randomUUID()), "kept", 99)).toBe(false);
  });

  it("keeps no more agents than may be, whoever asks at the same moment, and what has ended in vain does not count", async () => {
    const tasks = await Promise.all(Array.from({ length: 8 }, pausedTask));
    const ended = holdOf(tasks[0]!.taskId, { lastsMs: 40 });
    expect(await store().keepRoom(ended, "kept", 1)).toBe(true);
    await waitFor(async () => ((await store().roomHolds())[0]?.leftMs ?? 1) <= 0);
    const won = await Promise.all(tasks.slice(1).map(({ taskId }) => store().keepRoom(holdOf(taskId), "kept", 2)));
    expect(won.filter(Boolean)).toHaveLength(2);
    expect((await store().roomHolds()).filter(({ leftMs }) => leftMs > 0)).toHaveLength(2);
    for (const { taskId } of tasks) {
      await store().cancelTask(taskId, "not needed", "operator", { requestId: "", traceparent: "" });
    }
    expect(await store().endRoomHolds([])).toBe(3);
  });

  it("V4: keeps room only for what still waits when it is written: the history of a task that ends at that moment stays whole", async () => {
    const tasks = await Promise.all(Array.from({ length: 30 }, pausedTask));
    const call = { requestId: "", traceparent: "" };
    await Promise.all(
      tasks.flatMap(({ taskId }) => [
        store().keepRoom(holdOf(taskId), "kept", 99),
        store().cancelTask(taskId, "not needed", "operator", call),
      ]),
    );
    for (const { planId, taskId } of tasks) {
      const moves = ((await store().eventsAfter(planId, 0, 100))?.events ?? []).filter(
        (event) => event.taskId === taskId,
      );
      const told = moves
        .filter(({ toState }) => toState !== null)
        .map(({ kind, fromState, toState }) => ({ kind, fromState, toState }));
      for (const [index, { fromState }] of told.entries())
        if (index > 0) expect(fromState, JSON.stringify(told)).toBe(told[index - 1]?.toState);
    }
  });

  it("tells of it in the history, and ends with the waiting, or when it has rested as long as it lasted", async () => {
    const { taskId, planId } = await pausedTask();
    expect(await store().keepRoom(holdOf(taskId, { lastsMs: 40 }), "Room is kept for it.", 9)).toBe(true);
    const events = (await store().eventsAfter(planId, 0, 100))?.events ?? [];
    expect(events.at(-1)).toMatchObject({ kind: "TASK_ROOM_KEPT", taskId, sentence: "Room is kept for it." });
    await waitFor(async () => ((await store().roomHolds())[0]?.leftMs ?? 1) <= 0);
    // It is known while it rests, so that it is not given again too early.
    expect(await store().keepRoom(holdOf(taskId, { times: 2 }), "again", 9)).toBe(true);
    expect((await store().roomHolds())[0]).toMatchObject({ times: 2 });
    await store().cancelTask(taskId, "not needed", "operator", { requestId: "", traceparent: "" });
    expect(await store().endRoomHolds([])).toBe(1);
    expect(await store().roomHolds()).toEqual([]);
  });

  it(
    "is remembered when it has rested as long as it lasted, so that the next one lasts longer",
    { timeout: 60_000 },
    async () => {
      const { taskId } = await pausedTask();
      const lastsMs = 2_000;
      expect(await store().keepRoom(holdOf(taskId, { lastsMs, times: 3 }), "kept", 99)).toBe(true);
      await waitFor(async () => ((await store().roomHolds())[0]?.leftMs ?? 1) <= -lastsMs);
      await store().endRoomHolds([]);
      expect(await store().roomHolds()).toMatchObject([{ taskId, times: 3 }]);
      await store().cancelTask(taskId, "not needed", "operator", { requestId: "", traceparent: "" });
      expect(await store().endRoomHolds([])).toBe(1);
    },
  );

  it("of agents that are named it ends at once, and their tasks need not rest before another agent is kept for them", async () => {
    const [one, two] = [await pausedTask(), await pausedTask()];
    const [gone, other] = [holdOf(one.taskId), holdOf(two.taskId)];
    for (const hold of [gone, other]) expect(await store().keepRoom(hold, "kept", 99)).toBe(true);
    expect(await store().endRoomHolds([gone.agentId])).toBe(1);
    expect(await store().roomHolds()).toMatchObject([{ taskId: two.taskId }]);
    expect(await store().keepRoom(holdOf(one.taskId), "kept", 99)).toBe(true);
    for (const { taskId } of [one, two]) {
      await store().cancelTask(taskId, "not needed", "operator", { requestId: "", traceparent: "" });
    }
    expect(await store().endRoomHolds([])).toBe(2);
  });
}
