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
function begin(explain: "answers" | "away" = "answers", locked = "") {
  const ports = manualPorts();
  const kept: RoomHold[] = [];
  let asked = 0;
  const misses = [{ code: wire.MissCode.MISS_CODE_NOT_ENOUGH_CPU }];
  const room = createKeptRoom({
    store: {
      roomHolds: () => Promise.resolve([...kept]),
      keepRoom: (hold: RoomHold) =>
        hold.taskId === locked
          ? Promise.reject(new PlanLockedError("plan", undefined))
          : Promise.resolve(kept.push(hold) > 0),
      endRoomHolds: () => Promise.resolve(0),
    },
    registry: {
      explain(needs: RefusedHead["needs"]) {
        asked += 1;
        if (explain === "away") return Promise.reject(new Error("away"));
        const agents = needs.agentId === null ? [{ agentId: "busy", fits: false, never: false, misses }] : [];
        return Promise.resolve({ explanation: { agents }, roomInMs: null, roomOnAgentId: null });
      },
    },
    fleet: { snapshot: () => ({ kind: "up", verdict: () => ({ agentsOnline: 5 }) }) },
    clock: ports.clock,
    logger: silentLogger,
    rules: DEFAULT_HOLD_RULES,
  } as unknown as KeptRoomOptions);
  room.noteAssigned({ taskId: "small", shapeKey: "small" });
  return { ports, room, kept, asked: () => asked };
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

  it("is none while the registry cannot be asked, and nothing else fails for it", async () => {
    const { room, kept, asked } = begin("away");
    await room.keepFor([stuck, large]);
    expect([kept, asked()]).toEqual([[], 1]);
  });
});
