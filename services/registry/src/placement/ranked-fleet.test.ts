/**
 * The registry and the simulation choose the same machine, and the same cards, for the same state: one place of the code decides. A failure
 * prints its seed.
 */
import type { ReserveRequest } from "@headroom/contracts";
import {
  agentFacts,
  CardHistory,
  fit,
  freeMibOf,
  MachineKinds,
  type Needs,
  normalizeNeeds,
  PlacementEngine,
  placementShape,
  RULES,
  type Sample,
  seededRandom,
  TaskMix,
} from "@headroom/scheduling";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { viewOf } from "../fleet/agent-views.ts";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { Draft } from "../reservations/draft.ts";
import { reserveOperation, type ReserveResult } from "../reservations/reserve.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { AgentStates } from "./agent-states.ts";
import { PlacementPolicies } from "./placement-policies.ts";
import { placingBy } from "./placing.ts";

const CARD_MIB = 24_576;
const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

interface Made {
  readonly cores: number;
  readonly cards: number;
  readonly model: string;
  readonly pool: string;
  readonly site: string;
  readonly cordoned: boolean;
}

function sampleOf({ cores, cards, model }: Made): Sample {
  const cpu = { total: cores * 1_000, available: cores * 1_000, offer: cores * 1_000, declared: false };
  const memory = { total: 131_072, available: 131_072, offer: 131_072, declared: false };
  const room = { vramTotalMib: CARD_MIB, vramAvailableMib: CARD_MIB, vramOfferMib: CARD_MIB };
  return {
    sampledAtMs: 1_000,
    cpu,
    cpuLoadPercent: 0,
    memory,
    cards: Array.from({ length: cards }, (_, index) => {
      return { cardId: `gpu-${index}`, index, model, ...room, declared: false, sharedMemory: false };
    }),
    attempts: [],
  };
}

interface Asked {
  readonly needs: Needs;
  readonly avoidAgentIds: ReadonlySet<string>;
}

/** A registry without socket and database, and beside it what the simulation consists of. */
class SideBySide {
  readonly #fleet = new Fleet("r");
  readonly #index = new CapacityIndex(this.#fleet);
  readonly #states = new AgentStates(this.#fleet);
  readonly #experience = { mix: new TaskMix(), history: new CardHistory() };
  readonly #policies: PlacementPolicies;
  readonly #engine: PlacementEngine;
  readonly #kinds = new MachineKinds();
  #asked = 0;

  constructor(policy: string, makes: readonly Made[]) {
    this.#policies = new PlacementPolicies(policy, this.#states, this.#experience);
    const maker = RULES.get(policy);
    if (maker === undefined) throw new RangeError(policy);
    this.#engine = new PlacementEngine(maker);
    makes.forEach((made, number) => {
      const { pool, site, cordoned } = made;
      const agentId = idOf(number);
      this.#fleet.put(agentWith({ agentId, poolName: pool, labels: { site }, cordoned, sample: sampleOf(made) }));
    });
    for (const agent of this.#fleet.agents()) {
      const view = viewOf(agent);
      // Machines that take no work are not in a simulation.
      if (!agent.cordoned) this.#engine.put(agent.agentId, this.#kinds.machineOf(agentFacts(view)).state);
    }
  }

  /** One call with these needs, committed; what each came to. */
  reserve(batch: readonly Asked[]): readonly (string | null)[] {
    const policy = this.#policies.named("");
    if (policy === null) throw new RangeError("the default has no policy");
    const requests = batch.map((asked): ReserveRequest => {
      this.#asked += 1;
      const nothing = { kind: "attempt" as const, expectedDurationMs: null, taskId: "", planId: "" };
      return { attemptId: idOf(1_000_000 + this.#asked), fence: 1, ...asked, ...nothing };
    });
    for (const { needs } of batch) this.#experience.mix.arrive(placementShape(needs));
    const draft = new Draft(this.#fleet, 0);
    const operation = reserveOperation(requests, {
      allOrNothing: false,
      index: this.#index,
      heartbeatIntervalMs: 5_000,
      ...placingBy(policy, { index: this.#index, states: this.#states, experience: this.#experience }, true),
      random: 0,
      revision: () => this.#fleet.revision,
    });
    const { results } = operation.plan(draft);
    for (const agent of [...draft.changedAgents()]) this.#fleet.put(agent);
    return results.map(placeOf);
  }

  /** The same in the simulation. */
  simulate(batch: readonly Asked[]): readonly (string | null)[] {
    for (const { needs } of batch) this.#engine.mix.arrive(placementShape(needs));
    return batch.map(({ needs, avoidAgentIds }) => {
      const shape = placementShape(needs);
      const placed = this.#engine.choose(shape, (machineId) => {
        if (avoidAgentIds.has(machineId)) return false;
        const agent = this.#fleet.get(machineId);
        const view = agent === undefined ? null : viewOf(agent);
        return view !== null && (needs.pool ?? view.poolName) === view.poolName && hasLabels(view.labels, needs.labels);
      });
      if (placed === null) return null;
      const before = this.#engine.stateOf(placed.machineId);
      const free = placed.positions.map((position) => before?.cards[position] ?? -1).sort((a, b) => a - b);
      this.#engine.take(placed, shape);
      return `${placed.machineId} ${free.join()}`;
    });
  }

  /** Whether the registry could have placed it, by the predicate on every agent. */
  fitsSomewhere({ needs, avoidAgentIds }: Asked): boolean {
    return [...this.#fleet.agents()].some((agent) => fit(viewOf(agent), needs, { avoidAgentIds }).kind === "fits");
  }

  /** Of a promise: the agent. The cards are compared by what remains. */
  remains(): readonly string[] {
    return [...this.#fleet.agents()].map((agent) => {
      const { state } = this.#kinds.machineOf(agentFacts(viewOf(agent)));
      return `${agent.agentId} ${state.cpuMillicores} ${state.memoryMib} ${state.cards.map(freeMibOf).join()}`;
    });
  }

  simulatedRemains(): readonly string[] {
    return [...this.#fleet.agents()].map(({ agentId }) => {
      const state = this.#engine.stateOf(agentId);
      return `${agentId} ${state?.cpuMillicores} ${state?.memoryMib} ${state?.cards.map(freeMibOf).join()}`;
    });
  }
}

function hasLabels(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

function placeOf(result: ReserveResult): string | null {
  return result.kind === "reserved" ? result.reservation.agentId : null;
}

const machineOfPlace = (place: string | null): string | null => place?.split(" ")[0] ?? null;

const anyMade = fc.record({
  cores: fc.constantFrom(8, 16, 32),
  cards: fc.constantFrom(0, 1, 2, 4),
  model: fc.constantFrom("RTX 3080", "RTX 4090"),
  pool: fc.constantFrom("lab", "render"),
  site: fc.constantFrom("north", "south"),
  cordoned: fc.constantFrom(false, false, false, true),
});

const anyNeeds = fc
  .record({
    cpuMillicores: fc.integer({ min: 0, max: 8 }).map((cores) => cores * 1_000),
    memoryMib: fc.integer({ min: 0, max: 8 }).map((parts) => parts * 4_096),
    gpuCount: fc.constantFrom(0, 1, 1, 1, 2),
    share: fc.integer({ min: 1, max: 8 }),
    gpuModels: fc.constantFrom<string[]>([], [], ["4090"], ["3080"]),
    pool: fc.constantFrom(null, null, "lab"),
    labels: fc.constantFrom<Record<string, string>>({}, {}, { site: "north" }),
  })
  .map(({ gpuCount, share, gpuModels, ...rest }) =>
    normalizeNeeds({
      ...rest,
      gpuCount,
      gpuVramMib: gpuCount > 0 ? (CARD_MIB / 8) * share : 0,
      gpuModels: gpuCount > 0 ? gpuModels : [],
    }),
  );

/** Of one call: the same needs come again as the same object, with other agents to avoid. */
const anyBatch = fc
  .tuple(
    fc.array(anyNeeds, { minLength: 1, maxLength: 3 }),
    fc.array(fc.record({ which: fc.nat(2), avoided: fc.uniqueArray(fc.nat(8), { maxLength: 6 }) }), {
      minLength: 1,
      maxLength: 5,
    }),
  )
  .map(([all, picks]) =>
    picks.map(({ which, avoided }): Asked => {
      return { needs: all[which % all.length]!, avoidAgentIds: new Set(avoided.map(idOf)) };
    }),
  );

describe.each([...RULES.keys()])("the policy %s in the registry", (name) => {
  it("chooses the machine and the cards that the simulation chooses, reservation after reservation", () => {
    fc.assert(
      fc.property(
        fc.array(anyMade, { minLength: 1, maxLength: 100 }),
        fc.array(anyBatch, { minLength: 1, maxLength: 30 }),
        (makes, batches) => {
          const sides = new SideBySide(name, makes);
          for (const batch of batches) {
            const simulated = sides.simulate(batch).map(machineOfPlace);
            expect(sides.reserve(batch)).toEqual(simulated);
            const cordoned = new Set(makes.flatMap(({ cordoned: is }, number) => (is ? [idOf(number)] : [])));
            const ofOpen = (remains: readonly string[]) => remains.filter((line) => !cordoned.has(line.slice(0, 36)));
            expect(ofOpen(sides.remains())).toEqual(ofOpen(sides.simulatedRemains()));
            batch.forEach((asked, index) => {
              if (simulated[index] === null) expect(sides.fitsSomewhere(asked)).toBe(false);
            });
          }
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});

describe("the default policy on a fleet of 1,213 machines", () => {
  it("chooses what the simulation chooses, and learns the same", () => {
    const seed = 20_231_012;
    const random = seededRandom(seed);
    const pick = <Item>(items: readonly [Item, ...Item[]]): Item =>
      items[Math.floor(random() * items.length)] ?? items[0];
    const makes = Array.from({ length: 1_213 }, (): Made => {
      const kind = pick([
        { cores: 96, cards: 8, model: "G2" },
        { cores: 104, cards: 2, model: "T4" },
        { cores: 16, cards: 2, model: "P100" },
      ]);
      return { ...kind, pool: pick(["lab", "render"]), site: pick(["north", "south"]), cordoned: false };
    });
    const shapes = Array.from({ length: 40 }, () => {
      const gpuCount = pick([0, 1, 1, 1, 1, 2]);
      return normalizeNeeds({
        cpuMillicores: pick([1, 4, 8, 12]) * 1_000 * Math.max(1, gpuCount),
        gpuCount,
        gpuVramMib: gpuCount === 0 ? 0 : Math.floor(CARD_MIB * pick([0.15, 0.3, 0.5, 0.81, 1])),
        pool: pick([null, null, null, "lab"]),
      });
    });
    const sides = new SideBySide("stranded", makes);
    for (let call = 0; call < 400; call += 1) {
      const batch = Array.from({ length: 1 + (call % 10) }, () => {
        return { needs: pick([shapes[0]!, ...shapes.slice(1)]), avoidAgentIds: new Set<string>() };
      });
      const simulated = sides.simulate(batch).map(machineOfPlace);
      expect(sides.reserve(batch), `seed ${seed}, call ${call}`).toEqual(simulated);
    }
    expect(sides.remains()).toEqual(sides.simulatedRemains());
  }, 120_000);
});
