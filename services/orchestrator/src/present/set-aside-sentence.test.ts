import { wire } from "@headroom/contracts";
import type { RoomHold } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { agentsToList, nothingSetAside, setAside, type SetAside } from "./set-aside-sentence.ts";

const verdict = (agentId: string, fits: boolean): wire.AgentVerdict => wire.AgentVerdict.fromPartial({ agentId, fits });
const holdOf = (agentId: string, leftMs: number): RoomHold => ({
  taskId: `task-of-${agentId}`,
  agentId,
  readyInMs: null,
  leftMs,
  lastsMs: 300_000,
  times: 1,
});
const aside = (kept: readonly RoomHold[], ...avoided: readonly string[]): SetAside => ({
  kept,
  avoided: new Map(avoided.map((agentId) => [agentId, 20_000])),
});

describe("room that is set aside", () => {
  it("is in the way only of what fits nowhere else", () => {
    const agents = [verdict("a", true), verdict("b", true), verdict("c", false)];
    expect(setAside(agents, nothingSetAside)).toBeNull();
    expect(setAside(agents, aside([holdOf("a", 1_000)]))).toBeNull();
    expect(setAside(agents, aside([holdOf("c", 1_000)], "a"))).toBeNull();
    expect(setAside([verdict("c", false)], aside([holdOf("c", 1_000)]))).toBeNull();
    expect(setAside(agents, aside([holdOf("a", 1_000)], "b"))).not.toBeNull();
  });

  it("is told with whom it is kept for, for how long at most, and what would help", () => {
    const agents = [verdict("agent-one-and-more", true), verdict("other", true)];
    expect(setAside(agents, aside([holdOf("agent-one-and-more", 61_400)], "other"))).toEqual({
      sentence:
        "There is room for it, but agent agent-on is kept for task task-of-, for 61 s at most; " +
        "agent other did not take what was sent to it, and is left out for a moment.",
      wayOut: "task task-of- has to start, or be cancelled",
      endsInMs: 20_000,
    });
    const many = ["a", "b", "c", "d", "e"];
    const told = setAside(
      many.map((agentId) => verdict(agentId, true)),
      aside(many.map((agentId, index) => holdOf(agentId, 1_000 * (index + 1)))),
    );
    expect(told?.sentence).toMatch(/agent c is kept .*; 2 more likewise\.$/);
    expect(told?.endsInMs).toBe(1_000);
  });

  it("is seen whatever part of the fleet is listed: one agent more than are set aside", () => {
    expect(agentsToList(nothingSetAside)).toBe(1);
    expect(agentsToList(aside([holdOf("a", 1)], "b", "c"))).toBe(4);
  });
});
