/** What one agent says of itself, as far as the contract takes it, keeps no task from the room that the others have. */
import type { ReserveRequest } from "@headroom/contracts";
import {
  CardHistory,
  type Needs,
  normalizeNeeds,
  placementShape,
  RULES,
  type Sample,
  TaskMix,
} from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { Draft } from "../reservations/draft.ts";
import { reserveOperation, type ReserveResult } from "../reservations/reserve.ts";
import { agentWith, sampleWith } from "../test-agents.test-helper.ts";
import { AgentStates } from "./agent-states.ts";
import { PlacementPolicies } from "./placement-policies.ts";
import { placingBy } from "./placing.ts";

const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/** Agents with 16 cores and a card of 24 GiB, and others beside them. */
function fleetOf(agents: number, ...others: readonly Sample[]): Fleet {
  const fleet = new Fleet("r");
  const samples = [...Array.from({ length: agents }, () => sampleWith(16)), ...others];
  samples.forEach((sample, number) => fleet.put(agentWith({ agentId: idOf(number), sample })));
  return fleet;
}

/** Needs by needs, in calls of three, each committed. */
function reserveAll(fleet: Fleet, policyName: string, needs: readonly Needs[]): readonly ReserveResult[] {
  const index = new CapacityIndex(fleet);
  const states = new AgentStates(fleet);
  const experience = { mix: new TaskMix(), history: new CardHistory() };
  const policy = new PlacementPolicies(policyName, states, experience).named("");
  if (policy === null) throw new RangeError(policyName);
  const placing = placingBy(policy, { index, states, experience }, true);
  const results: ReserveResult[] = [];
  for (let from = 0; from < needs.length; from += 3) {
    const requests = needs.slice(from, from + 3).map((asked, at): ReserveRequest => {
      experience.mix.arrive(placementShape(asked));
      const nothing = { kind: "attempt" as const, expectedDurationMs: null, taskId: "", planId: "" };
      const attemptId = idOf(1_000_000 + from + at);
      return { attemptId, fence: 1, needs: asked, avoidAgentIds: new Set(), ...nothing };
    });
    const draft = new Draft(fleet, 0);
    const options = { index, heartbeatIntervalMs: 5_000, random: 0, allOrNothing: false, ...placing };
    const { results: ofCall } = reserveOperation(requests, { ...options, revision: () => fleet.revision }).plan(draft);
    for (const agent of [...draft.changedAgents()]) fleet.put(agent);
    results.push(...ofCall);
  }
  return results;
}

/** Half of what 80 agents have: no policy leaves one of them without room. */
const HALF = Array.from({ length: 40 }, () => [
  normalizeNeeds({ cpuMillicores: 4_000, memoryMib: 1_024 }),
  normalizeNeeds({ cpuMillicores: 2_000, gpuVramMib: 8_192 }),
  normalizeNeeds({ cpuMillicores: 1_000, gpuVramMib: 4_096, gpuModels: ["4090"] }),
  normalizeNeeds({ cpuMillicores: 0, gpuVramMib: 20 }),
]).flat();

const [NORMAL_CARD] = sampleWith(16).cards;
const dimension = (total: number) => ({ total, available: total, offer: total, declared: false });
const cardOf = (index: number, mib: number) => {
  return {
    ...NORMAL_CARD!,
    cardId: `gpu-${index}`,
    index,
    vramTotalMib: mib,
    vramAvailableMib: mib,
    vramOfferMib: mib,
  };
};

const MOST = 2 ** 50;
const ABSURD: readonly (readonly [string, Partial<Sample>])[] = [
  ["the bytes of a card where MiB are meant", { cards: [cardOf(0, 25_769_803_776)] }],
  ["the most VRAM that is taken", { cards: [cardOf(0, MOST)] }],
  ["64 cards with a share of that each", { cards: Array.from({ length: 64 }, (_, index) => cardOf(index, MOST / 64)) }],
  ["a large card that is hardly offered", { cards: [{ ...cardOf(0, MOST), vramOfferMib: 24_576 }] }],
  ["the most of all", { cpu: dimension(MOST), memory: dimension(MOST), cards: [cardOf(0, MOST)] }],
  ["the most CPU and memory, and no card", { cpu: dimension(MOST), memory: dimension(MOST), cards: [] }],
];

describe.each([...RULES.keys()])("under the policy %s, beside an agent that says", (name) => {
  it.each(ABSURD)("%s, all tasks get the room that they would get without it", (_, absurd) => {
    const reserved = HALF.map(() => "reserved");
    expect(reserveAll(fleetOf(80), name, HALF).map(({ kind }) => kind)).toEqual(reserved);
    const fleet = fleetOf(80, { ...sampleWith(16), ...absurd });
    expect(reserveAll(fleet, name, HALF).map(({ kind }) => kind)).toEqual(reserved);
  });

  it.each(ABSURD)("%s, they do so also where agents are few", (_, absurd) => {
    const fleet = fleetOf(1, { ...sampleWith(16), ...absurd });
    const few = HALF.slice(0, 4);
    expect(reserveAll(fleet, name, few).map(({ kind }) => kind)).toEqual(few.map(() => "reserved"));
  });
});
