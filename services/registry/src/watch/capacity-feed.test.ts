import { HeadroomError } from "@headroom/rpc";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { agentWith, sampleWith } from "../test-agents.test-helper.ts";
import { CapacityFeed } from "./capacity-feed.ts";
import { watchMessages } from "./watch-messages.ts";

const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const AGENTS = 20;
const planner = { roles: new Set(["planner"] as const) };
const anybody = { roles: new Set<never>() };

describe("CapacityFeed", () => {
  it("DESIGN-3: a reader that takes nothing for long holds no more than the ids of the fleet, and then gets its state of now", () => {
    const fleet = new Fleet("00000000-0000-4000-8000-0000000000ff");
    const feed = new CapacityFeed(fleet);
    const watcher = feed.watch(planner);
    const from = fleet.revision;
    for (let change = 0; change < 10_000; change += 1) {
      const sample = { ...sampleWith(change % 17), sampledAtMs: change };
      fleet.put(agentWith({ agentId: idOf(change % AGENTS), sample }));
    }
    const { agentIds, roomAppeared } = watcher.take();
    expect(agentIds.size).toBe(AGENTS);
    const part = { snapshot: false, roomAppeared, agentIds, from, to: fleet.revision };
    const messages = [...watchMessages(fleet, part, () => 1)];
    expect(messages.length).toBe(1);
    expect(messages[0]?.rows.length).toBe(AGENTS);
    expect(messages[0]?.others.revision?.counter).toBe(10_000);
    expect(watcher.take()).toEqual({ agentIds: new Set(), roomAppeared: false });
  });

  it("each reader has what changed since it took itself, and none is told for one that has gone", () => {
    const fleet = new Fleet("r");
    const feed = new CapacityFeed(fleet);
    const [early, late] = [feed.watch(planner), feed.watch(planner)];
    fleet.put(agentWith({ agentId: idOf(1) }));
    expect(early.take().agentIds).toEqual(new Set([idOf(1)]));
    fleet.put(agentWith({ agentId: idOf(2) }));
    expect(early.take().agentIds).toEqual(new Set([idOf(2)]));
    expect(late.take().agentIds).toEqual(new Set([idOf(1), idOf(2)]));
    late.close();
    expect(feed.watchers).toBe(1);
  });

  it("the number of readers is bounded, and one more is told to come later", () => {
    const feed = new CapacityFeed(new Fleet("r"));
    const watchers = Array.from({ length: 1_000 }, () => feed.watch(planner));
    expect(() => feed.watch(planner)).toThrow(HeadroomError);
    watchers[0]?.close();
    expect(() => feed.watch(planner)).not.toThrow();
  });

  it("R-PAUSE-9: readers without a role are bounded apart, and keep none that has one out", () => {
    const feed = new CapacityFeed(new Fleet("r"));
    const anonymous = Array.from({ length: 100 }, () => feed.watch(anybody));
    const tooMany = expect.objectContaining({ code: "UNAVAILABLE", reason: "TOO_MANY_WATCHERS", retryAfterMs: 5_000 });
    expect(() => feed.watch(anybody)).toThrow(tooMany);
    const planners = Array.from({ length: 900 }, () => feed.watch(planner));
    expect(() => feed.watch(planner)).toThrow(tooMany);
    // Closed twice is one reader fewer, not two.
    anonymous[0]?.close();
    anonymous[0]?.close();
    feed.watch(anybody);
    expect(() => feed.watch(anybody)).toThrow(tooMany);
    for (const watcher of planners) watcher.close();
    expect(() => feed.watch(anybody)).toThrow(tooMany);
  });

  it("ends all watches while what they would be told is not true, whether they wait for news or for room, and lets none begin", async () => {
    const fleet = new Fleet("r");
    const feed = new CapacityFeed(fleet);
    const { signal } = new AbortController();
    const error = new HeadroomError({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE", message: "cut off" });
    const [quiet, busy, full] = [feed.watch(planner), feed.watch(planner), feed.watch(planner)];
    fleet.put(agentWith());
    quiet.take();
    const waiting = [quiet.changed(signal), busy.room(signal), full.room(signal)];
    feed.interrupt(error);
    await Promise.all(waiting);
    for (const watcher of [quiet, busy, full]) {
      await watcher.changed(signal);
      await watcher.room(signal);
      expect(() => watcher.take()).toThrow(error);
    }
    expect(() => feed.watch(planner)).toThrow(error);
    feed.resume();
    expect(() => quiet.take()).toThrow(error);
    const next = feed.watch(planner);
    fleet.put(agentWith({ epoch: 2 }));
    expect(next.take().agentIds.size).toBe(1);
  });
});
