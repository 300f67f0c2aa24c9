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
function begin(explain: "answers" | "fits" | "away" = "answers", locked = "") {
  const ports = manualPorts();
  const kept: RoomHold[] = [];
  const ended: string[] = [];
  let takesWork: boolean | null = true;
  let asked = 0;
  const misses = [{ code: wire.MissCode.MISS_CODE_NOT_ENOUGH_CPU }];
  const room = createKeptRoom({
    store: {
      roomHolds: () => Promise.resolve([...kept]),
      keepRoom: (hold: RoomHold) =>
        hold.taskId === locked
          ? Promise.reject(new PlanLockedError("plan", undefined))
          : Promise.resolve(kept.push(hold) > 0),
      endRoomHolds(agentIds: readonly string[]) {
        ended.push(...agentIds);
        return Promise.resolve(0);
      },
    },
    registry: {
      explain(needs: RefusedHead["needs"]) {
        asked += 1;
        if (explain === "away") return Promise.reject(new Error("away"));
        const agents = needs.agentId === null ? [{ agentId: "busy", fits: false, never: false, misses }] : [];
        const { FLEET_VERDICT_FITS, FLEET_VERDICT_NOT_NOW } = wire.FleetVerdict;
        const verdict = explain === "fits" ? FLEET_VERDICT_FITS : FLEET_VERDICT_NOT_NOW;
        return Promise.resolve({ explanation: { verdict, agents }, roomInMs: null, roomOnAgentId: null });
      },
    },
    fleet: { snapshot: () => ({ kind: "up", verdict: () => ({ agentsOnline: 5 }) }), takesWork: () => takesWork },
    clock: ports.clock,
    logger: silentLogger,
    rules: DEFAULT_HOLD_RULES,
  } as unknown as KeptRoomOptions);
  room.noteAssigned({ taskId: "small", shapeKey: "small" });
  return {
    ports,
    room,
    kept,
    ended,
    asked: () => asked,
    /** Null: the fleet is not known. */
    agentTakesWork: (does: boolean | null) => (takesWork = does),
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

  it("is none for what fits already, and only waits for the gate; the next one has its turn", async () => {
    const { room, kept, asked } = begin("fits");
    await room.keepFor([stuck, large]);
    await room.keepFor([stuck, large]);
    expect([kept, asked()]).toEqual([[], 4]);
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
