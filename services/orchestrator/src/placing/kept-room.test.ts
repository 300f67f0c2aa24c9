import { manualPorts } from "@headroom/testing";
import { silentLogger } from "@headroom/runtime";
import { DEFAULT_HOLD_RULES, normalizeNeeds, type RoomHold } from "@headroom/scheduling";
import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { PlanLockedError } from "../store/plan-locked.ts";
import { createKeptRoom, type KeptRoomOptions, type RefusedHead } from "./kept-room.ts";

const headOf = (shapeKey: string, rank: number, agentId: string | null): RefusedHead => ({
  taskId: `task ${shapeKey}`,
  shapeKey,
  rank,
  waitedMs: 60_000,
  needs: normalizeNeeds({ agentId }),
});
const stuck = headOf("pinned", 1, "off");
const large = headOf("large", 2, null);

/** A registry that knows a place for what is pinned to nobody. */
function begin(explain: "answers" | "fits" | "away" = "answers", locked = "", rules = DEFAULT_HOLD_RULES) {
  const ports = manualPorts();
  /** As they were given. */
  const kept: (RoomHold & { readonly atMs: number })[] = [];
  const ended: string[] = [];
  let takesWork: boolean | null = true;
  let fitting = "";
  let asked = 0;
  let placesWanted = 0;
  const give = (hold: RoomHold): boolean => {
    const others = kept.filter(({ taskId }) => taskId !== hold.taskId);
    kept.splice(0, Infinity, ...others, { ...hold, atMs: ports.clock.monotonic() });
    return true;
  };
  const misses = [{ code: wire.MissCode.MISS_CODE_NOT_ENOUGH_CPU }];
  const room = createKeptRoom({
    store: {
      roomHolds: () =>
        Promise.resolve(
          kept.map((hold) => ({ ...hold, leftMs: hold.lastsMs - (ports.clock.monotonic() - hold.atMs) })),
        ),
      keepRoom: (hold: RoomHold) =>
        hold.taskId === locked ? Promise.reject(new PlanLockedError("plan", undefined)) : Promise.resolve(give(hold)),
      endRoomHolds(agentIds: readonly string[]) {
        ended.push(...agentIds);
        const isOver = ({ atMs, lastsMs }: (typeof kept)[number]) => atMs + 4 * lastsMs <= ports.clock.monotonic();
        return Promise.resolve(kept.splice(0, Infinity, ...kept.filter((hold) => !isOver(hold))).length);
      },
    },
    registry: {
      explain(needs: RefusedHead["needs"], maxAgents: number) {
        asked += 1;
        placesWanted = maxAgents;
        if (explain === "away") return Promise.reject(new Error("away"));
        const fits = (agentId: string): boolean => agentId === fitting;
        const idle = explain === "fits" ? [{ agentId: "idle", fits: true, never: false, misses: [] }] : [];
        const busy = ["busy", "busy too"].map((agentId) => ({ agentId, fits: fits(agentId), never: false, misses }));
        const agents = [...idle, ...(needs.agentId === null ? busy : [])];
        return Promise.resolve({ explanation: { agents }, roomInMs: null, roomOnAgentId: null });
      },
    },
    fleet: { snapshot: () => ({ kind: "up", verdict: () => ({ agentsOnline: 5 }) }), takesWork: () => takesWork },
    clock: ports.clock,
    logger: silentLogger,
    rules,
  } as unknown as KeptRoomOptions);
  room.noteAssigned({ taskId: "small", shapeKey: "small" });
  return {
    ports,
    room,
    kept,
    ended,
    asked: () => asked,
    placesWanted: () => placesWanted,
    /** Null: the fleet is not known. */
    agentTakesWork: (does: boolean | null) => (takesWork = does),
    fitsOn: (agentId: string) => (fitting = agentId),
  };
}

describe("room kept for large tasks", () => {
  it("goes to the next one that can be helped, and the one that cannot is asked about again after a while", async () => {
    const { ports, room, kept, asked } = begin();
    await room.keepFor([stuck, large]);
    expect(kept).toMatchObject([{ taskId: large.taskId, agentId: "busy" }]);
    expect(asked()).toBe(2);
    kept.length = 0;
    await room.refresh();
    await room.keepFor([stuck]);
    expect(asked()).toBe(2);
    await ports.advance(DEFAULT_HOLD_RULES.firstMs);
    room.noteAssigned({ taskId: "small", shapeKey: "small" });
    await room.keepFor([stuck]);
    expect(asked()).toBe(3);
  });

  it("is for the next one the next time, where somebody keeps the plan of the first locked", async () => {
    const first = headOf("first", 1, null);
    const { room, kept, asked } = begin("answers", first.taskId);
    await room.keepFor([first, large]);
    expect([kept, asked()]).toEqual([[], 1]);
    await room.keepFor([first, large]);
    expect(kept).toMatchObject([{ taskId: large.taskId }]);
    expect(asked()).toBe(2);
  });

  it("is none for what fits already, and only waits for the gate; however many these are, others have their turn", async () => {
    const { ports, room, kept, asked } = begin("fits");
    const fitting = Array.from({ length: 40 }, (_, rank) => headOf(`fits ${rank}`, rank, "idle"));
    await room.keepFor(fitting);
    expect([kept, asked()]).toEqual([[], 32]);
    await room.keepFor(fitting);
    expect(asked()).toBe(40);
    await room.keepFor(fitting);
    expect(asked()).toBe(40);
    await ports.advance(30_000);
    await room.keepFor(fitting);
    expect([kept, asked()]).toEqual([[], 72]);
  });

  it("is some for what fits only where room is kept for another", async () => {
    const rules = { ...DEFAULT_HOLD_RULES, maxShare: 1 };
    const { room, kept, fitsOn } = begin("answers", "", rules);
    await room.keepFor([large]);
    expect(kept).toMatchObject([{ taskId: large.taskId, agentId: "busy" }]);
    fitsOn("busy");
    const second = headOf("second", 3, null);
    await room.keepFor([second]);
    expect(kept).toMatchObject([{ agentId: "busy" }, { taskId: second.taskId, agentId: "busy too" }]);
  });

  it("leaves the questions to others where each place is kept already, however many these are", async () => {
    const { ports, room, kept, asked } = begin("answers", "", { ...DEFAULT_HOLD_RULES, maxShare: 1 });
    await room.keepFor([large]);
    await room.keepFor([headOf("second", 2, null)]);
    expect([kept.length, asked()]).toEqual([2, 2]);
    const late = Array.from({ length: 40 }, (_, rank) => headOf(`late ${rank}`, rank + 3, null));
    await room.keepFor(late);
    expect(asked()).toBe(2 + 32);
    await room.keepFor(late);
    expect(asked()).toBe(2 + 40);
    await room.keepFor(late);
    expect(asked()).toBe(2 + 40);
    await ports.advance(30_000);
    await room.keepFor(late);
    expect([kept.length, asked()]).toEqual([2, 2 + 40 + 32]);
  });

  it("goes to another agent after one in vain, and is looked for among more of them", async () => {
    const { ports, room, kept, placesWanted } = begin();
    const tried: unknown[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      await room.refresh();
      await room.keepFor([{ ...large, waitedMs: 60_000 + ports.clock.monotonic() }]);
      tried.push([kept[0]?.agentId, placesWanted()]);
      await ports.advance(2 * (kept[0]?.lastsMs ?? 0));
    }
    expect(tried).toEqual([
      ["busy", 32],
      ["busy too", 64],
      ["busy", 96],
    ]);
  });

  it("lasts longer each time that it was in vain, an hour at most, and rests as long in between", async () => {
    const { ports, room, kept } = begin();
    const told: string[] = [];
    room.onChange((change) => told.push(change));
    const given: (readonly [number, number])[] = [];
    const startMs = ports.clock.monotonic();
    for (let poll = 0; poll < 3 * 3_600; poll += 10) {
      room.noteAssigned({ taskId: "small", shapeKey: "small" });
      await room.refresh();
      const before = kept[0]?.times ?? 0;
      await room.keepFor([{ ...large, waitedMs: 60_000 + poll * 1_000 }]);
      const [hold] = kept;
      if (hold !== undefined && hold.times > before) {
        given.push([Math.round((ports.clock.monotonic() - startMs) / 1_000), hold.lastsMs / 1_000]);
      }
      await ports.advance(10_000);
    }
    expect(given).toEqual([
      [0, 300],
      [600, 600],
      [1_800, 1_200],
      [4_200, 2_400],
      [9_000, 3_600],
    ]);
    expect(told).toHaveLength(given.length);
  });

  it("is told of when it begins, ends by itself, and is everybody's at once when its task is given room", async () => {
    const { ports, room } = begin();
    const changes: string[] = [];
    room.onChange((change) => changes.push(change));
    expect([room.isAnyInForce(), room.endsInMs()]).toEqual([false, null]);
    await room.keepFor([large]);
    expect([room.isAnyInForce(), room.endsInMs()]).toEqual([true, DEFAULT_HOLD_RULES.firstMs]);
    const small = { taskId: "small", expectedDurationMs: null };
    expect(room.keptFrom(small)).toMatchObject([{ taskId: large.taskId, agentId: "busy" }]);
    await ports.advance(DEFAULT_HOLD_RULES.firstMs);
    expect([room.isAnyInForce(), room.endsInMs(), room.keptFrom(small)]).toEqual([false, null, []]);
    const again = begin();
    again.room.onChange((change) => changes.push(change));
    await again.room.keepFor([large]);
    again.room.noteAssigned({ taskId: "small", shapeKey: "small" });
    expect([...again.room.avoidedBy(small)]).toEqual(["busy"]);
    again.room.noteAssigned(large);
    expect([...again.room.avoidedBy(small)]).toEqual([]);
    expect(changes).toEqual(["begun", "begun", "served"]);
  });

  it("ends on an agent that takes no work for long: not for a moment, nor while the fleet is not known", async () => {
    const { ports, room, ended, agentTakesWork } = begin();
    await room.keepFor([large]);
    for (const takesWork of [false, true, null, false]) {
      agentTakesWork(takesWork);
      await room.refresh();
      await ports.advance(20_000);
    }
    await room.refresh();
    expect(ended).toEqual([]);
    await ports.advance(10_000);
    await room.refresh();
    expect(ended).toEqual(["busy"]);
  });

  it("a task is overtaken by what was given room of another kind while it waited, by nothing else", async () => {
    const { ports, room, kept } = begin();
    await ports.advance(100_000);
    // The last word of another kind is older than its waiting.
    for (let turn = 0; turn < 3; turn += 1) room.noteAssigned({ taskId: `${turn}`, shapeKey: large.shapeKey });
    await room.keepFor([large]);
    expect(kept).toEqual([]);
    room.noteAssigned({ taskId: "other", shapeKey: "other" });
    room.noteAssigned({ taskId: "same", shapeKey: large.shapeKey });
    await room.keepFor([large]);
    expect(kept).toHaveLength(1);
  });

  it("is none while the registry cannot be asked, and nothing else fails for it", async () => {
    const { room, kept, asked } = begin("away");
    await room.keepFor([stuck, large]);
    expect([kept, asked()]).toEqual([[], 1]);
  });
});
