import { MASS_FLAP_WINDOW_MS, NO_FLAPS } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { LossWindow } from "./loss-window.ts";

/** A window of the process "here", which holds so many agents, as another one holds so many. */
function windowOver({ here, elsewhere = 0 }: { readonly here: number; readonly elsewhere?: number }) {
  const fleet = new Fleet("here");
  for (const [replicaId, size] of [
    ["here", here],
    ["elsewhere", elsewhere],
  ] as const)
    for (let index = 0; index < size; index += 1) fleet.put(agentWith({ agentId: `${replicaId}-${index}`, replicaId }));
  const window = new LossWindow(fleet, "here");
  const lose = (agent: StoredAgent, nowMs: number): void => {
    const verdict = window.add(agent, nowMs);
    verdicts.push(verdict.kind);
    if (verdict.kind === "mass") for (const [agentId, before] of verdict.forgiven) forgiven.set(agentId, before);
    fleet.put({ ...agent, status: "suspect" });
  };
  const verdicts: string[] = [];
  const forgiven = new Map<string, StoredAgent["flapping"]>();
  return {
    verdicts,
    forgiven,
    lose,
    /** These agents of this process are lost, one after the other. */
    loseFrom: (first: number, count: number, nowMs: number): void => {
      for (let index = first; index < first + count; index += 1) lose(fleet.get(`here-${index}`)!, nowMs);
    },
  };
}

const blamed = (verdicts: readonly string[]): number => verdicts.filter((verdict) => verdict === "single").length;

describe("the window over losses", () => {
  it("DESIGN-4: compares them with the agents of this process: a switch that takes 28 % of two processes' agents blames none", () => {
    const { loseFrom, verdicts, forgiven } = windowOver({ here: 1_000, elsewhere: 1_000 });
    loseFrom(0, 280, 0);
    expect(blamed(verdicts)).toBe(150);
    expect(forgiven.size).toBe(150);
    expect(verdicts.at(-1)).toBe("mass");
  });

  it("DESIGN-4: slides: a loss of many is none the less one that another loss came before by just its length", () => {
    const { loseFrom, verdicts, forgiven } = windowOver({ here: 100 });
    loseFrom(0, 1, 0);
    loseFrom(1, 10, MASS_FLAP_WINDOW_MS - 100);
    loseFrom(11, 10, MASS_FLAP_WINDOW_MS + 100);
    expect(verdicts.at(-1)).toBe("mass");
    // The one of long before is its own fault.
    expect([...forgiven.keys()].toSorted()).toEqual(
      Array.from({ length: 15 }, (_, index) => `here-${index + 1}`).toSorted(),
    );
  });

  it("losses that are further apart than its length are not added up", () => {
    const { loseFrom, verdicts, forgiven } = windowOver({ here: 100 });
    for (let round = 0; round < 2; round += 1) loseFrom(round * 12, 12, round * MASS_FLAP_WINDOW_MS);
    expect(blamed(verdicts)).toBe(24);
    expect(forgiven.size).toBe(0);
  });

  it("DESIGN-4: those that are gone already are not among those that a second loss is compared with", () => {
    const { loseFrom, verdicts, forgiven } = windowOver({ here: 1_000 });
    loseFrom(0, 600, 0);
    forgiven.clear();
    // A quarter of those that are left, and a tenth of all.
    loseFrom(600, 100, 2 * MASS_FLAP_WINDOW_MS);
    expect(verdicts.at(-1)).toBe("mass");
    expect(forgiven.size).toBe(60);
  });

  it("one agent that comes and goes is not many", () => {
    const { lose, verdicts } = windowOver({ here: 20 });
    const agent = agentWith({ agentId: "here-0", replicaId: "here" });
    for (let flap = 0; flap < 50; flap += 1) lose(agent, flap * 100);
    expect(blamed(verdicts)).toBe(50);
  });

  it("forgives what was counted within it, and nothing from before", () => {
    const { lose, loseFrom, forgiven } = windowOver({ here: 20 });
    const flapped = (flaps: number): StoredAgent =>
      agentWith({ agentId: "here-0", replicaId: "here", flapping: { ...NO_FLAPS, flaps, lastFlapAtMs: flaps } });
    for (let flaps = 0; flaps < 4; flaps += 1) lose(flapped(flaps), flaps * (MASS_FLAP_WINDOW_MS - 1));
    loseFrom(1, 9, 3 * (MASS_FLAP_WINDOW_MS - 1));
    // The two last of four.
    expect(forgiven.get("here-0")).toMatchObject({ flaps: 2 });
  });
});
