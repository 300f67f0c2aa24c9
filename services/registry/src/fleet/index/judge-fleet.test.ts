/** The quick judgement against the plain one, which asks the predicate about every agent. A failure prints its seed. */
import { type AgentView, explain, explanationOf, judgeAll, normalizeNeeds, type Sample } from "@headroom/scheduling";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StoredAgent } from "../../store/stored-agent.ts";
import { agentWith, reservationsOf, reservationWith } from "../../test-agents.test-helper.ts";
import { viewOf } from "../agent-views.ts";
import { Fleet } from "../fleet.ts";
import { CapacityIndex } from "./capacity-index.ts";
import { judgeFleet } from "./judge-fleet.ts";
import { anyNeeds, anyOptions, idOf, LargeFleet } from "./large-fleet.test-helper.ts";

/** Small ranges, so that agents are often equal and needs often just missed. */
const anyDimension = fc
  .record({ total: fc.nat(8), available: fc.nat(8), offer: fc.nat(8), declared: fc.boolean() })
  .map((one) => ({
    ...one,
    available: Math.min(one.available, one.total),
    offer: one.offer === 0 ? one.total : one.offer,
  }));

const anyCard = fc.record({
  room: anyDimension,
  sharedMemory: fc.constantFrom(false, false, false, true),
  model: fc.constantFrom("RTX 3080", "RTX 4090"),
});

const anySample: fc.Arbitrary<Sample> = fc
  .record({ cpu: anyDimension, memory: anyDimension, cards: fc.array(anyCard, { maxLength: 4 }), isMany: fc.nat(20) })
  .map(({ cpu, memory, cards, isMany }) => ({
    sampledAtMs: 0,
    cpuLoadPercent: 0,
    cpu,
    memory,
    // Now and then more than have a place in the columns.
    cards: (isMany === 0 ? [...cards, ...cards, ...cards] : cards).map(({ room, sharedMemory, model }, index) => ({
      cardId: `gpu-${index}`,
      index,
      model,
      vramTotalMib: room.total,
      vramAvailableMib: room.available,
      vramOfferMib: room.offer,
      declared: room.declared,
      sharedMemory,
    })),
    attempts: [],
  }));

const rarely = fc.constantFrom(false, false, false, false, true);
const anyAgent = fc.record({
  number: fc.nat(40),
  sample: fc.option(anySample, { nil: null, freq: 9 }),
  poolName: fc.constantFrom("lab", "render"),
  site: fc.constantFrom("north", "south"),
  agentType: fc.constantFrom<StoredAgent["agentType"][]>("desktop", "desktop", "desktop", "infra"),
  status: fc.constantFrom<StoredAgent["status"][]>("online", "online", "online", "suspect", "offline"),
  attached: fc.constantFrom(true, true, true, false),
  cordoned: rarely,
  draining: rarely,
  ownerHold: rarely,
  onProbation: rarely,
  held: fc.option(fc.record({ cpu: fc.nat(6), card: fc.nat(2), vram: fc.nat(6), exclusive: fc.boolean() }), {
    nil: null,
  }),
});
type Make = typeof anyAgent extends fc.Arbitrary<infer Value> ? Value : never;

function build({ number, site, held, onProbation, ...facts }: Make): StoredAgent {
  const agentId = idOf(number);
  const reserved = held && {
    cpuMillicores: held.cpu,
    memoryMib: 0,
    cards: [{ cardId: `gpu-${held.card}`, vramMib: held.vram, exclusive: held.exclusive }],
  };
  const reservation = reserved && reservationWith({ agentId, attemptId: idOf(1_000 + number), reserved });
  return agentWith({
    ...facts,
    agentId,
    labels: { site },
    flapping: { ...agentWith().flapping, ...(onProbation && { probationUntilMs: 1 }) },
    reservations: reservation ? reservationsOf(reservation) : reservationsOf(),
  });
}

describe("judgeFleet", () => {
  it("DESIGN-3: finds what judging every agent finds: never or not now, the reason, the counts and the nearest, in order", () => {
    const anyChanges = fc.array(anyAgent, { maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(anyAgent, { maxLength: 60 }),
        fc.array(fc.nat(40), { maxLength: 4 }),
        anyChanges,
        fc.array(fc.tuple(anyNeeds, anyOptions, fc.integer({ min: 1, max: 6 })), { minLength: 1, maxLength: 8 }),
        (makes, removed, changes, questions) => {
          const fleet = new Fleet("r");
          const index = new CapacityIndex(fleet);
          for (const make of makes) fleet.put(build(make));
          for (const number of removed) fleet.remove(idOf(number));
          const changed = draftOf(fleet, changes);
          const views = [...fleet.agents()].map((agent) => changed.get(agent.agentId) ?? viewOf(agent));
          for (const [needs, options, max] of questions) {
            const plain = judgeAll(views, needs, options, max);
            // Divided down to single agents, and looked at one by one.
            for (const few of [0, 1_000]) {
              const quick = judgeFleet(index, needs, options, max, changed, few);
              expect(quick).toEqual(plain);
              expect(explanationOf(quick, needs, options, max)).toEqual(explain(views, needs, options, max));
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  }, 60_000);

  it("DESIGN-3: finds the same in a fleet so large that its columns have bounds, while it changes", () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 1_000 }),
        fc.array(fc.tuple(anyNeeds, anyOptions, fc.integer({ min: 1, max: 6 })), { minLength: 1, maxLength: 4 }),
        (seed, spread, questions) => {
          const large = new LargeFleet(seed, spread);
          const index = new CapacityIndex(large.fleet);
          for (const [needs, options, max] of questions) {
            large.changeSome();
            const scaled = large.scaled(needs);
            const views = [...large.fleet.agents()].map(viewOf);
            const plain = judgeAll(views, scaled, options, max);
            expect(judgeFleet(index, scaled, options, max, new Map(), 0)).toEqual(plain);
          }
        },
      ),
      { numRuns: 25 },
    );
  }, 60_000);

  it("judges agents of other types when they are asked for", () => {
    const fleet = new Fleet("r");
    const index = new CapacityIndex(fleet);
    fleet.put(agentWith({ agentType: "infra" }));
    const judge = (agentTypes: readonly StoredAgent["agentType"][]) =>
      judgeFleet(index, normalizeNeeds({}), { agentTypes }, 1, new Map()).eligible;
    expect([judge(["infra"]), judge(["code"])]).toEqual([1, 0]);
  });
});

/** What a draft changes is what is reserved, and nothing else. */
function draftOf(fleet: Fleet, changes: readonly Make[]): ReadonlyMap<string, AgentView> {
  const changed = new Map<string, AgentView>();
  for (const change of changes) {
    const agent = fleet.get(idOf(change.number));
    if (agent !== undefined) changed.set(agent.agentId, viewOf({ ...agent, reservations: build(change).reservations }));
  }
  return changed;
}
