/** The index against the rule itself: a plain scan of the fleet. A failure prints its seed. */
import { wire } from "@headroom/contracts";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { viewOf } from "../fleet/agent-views.ts";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { isAvailable, questionOf } from "./available.ts";
import { findAvailable } from "./find-available.ts";
import { readOrder } from "./order-by.ts";
import { pageOf } from "./paging.ts";

const ORDERS = ["", "cpu_cores_available", "cpu_load desc", "memory_available_gb desc", "hostname", "pool_name desc"];
const MODELS = ["RTX 3080", "RTX 4090", "A100"];
const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/** What an agent is made of; small ranges, so that equals and matches are common. */
const anyAgent = fc.record({
  number: fc.nat(30),
  cores: fc.nat(16),
  load: fc.nat(4),
  memoryGb: fc.nat(4),
  cards: fc.array(fc.record({ model: fc.constantFrom(...MODELS), freeMib: fc.nat(3) }), { maxLength: 10 }),
  pool: fc.constantFrom("lab", "render"),
  site: fc.constantFrom("north", "south", null),
  status: fc.constantFrom("online", "online", "online", "suspect"),
  cordoned: fc.boolean(),
  hasSample: fc.constantFrom(true, true, true, false),
  holds: fc.boolean(),
});
type AgentMake = typeof anyAgent extends fc.Arbitrary<infer Make> ? Make : never;

function build(make: AgentMake): StoredAgent {
  const sample = sampleWith(make.cores);
  const [card] = sample.cards;
  const cards = make.cards.map(({ model, freeMib }, index) => ({
    ...card!,
    cardId: `gpu-${index}`,
    index,
    model,
    vramAvailableMib: freeMib * 1_024,
  }));
  return agentWith({
    agentId: idOf(make.number),
    hostname: `desk-${make.number % 5}`,
    poolName: make.pool,
    labels: make.site === null ? {} : { site: make.site },
    status: make.status as StoredAgent["status"],
    cordoned: make.cordoned,
    sample: make.hasSample
      ? { ...sample, cards, cpuLoadPercent: make.load, memory: { ...sample.memory, available: make.memoryGb * 1_024 } }
      : null,
    reservations: make.holds ? reservationsOf(reservationWith({ agentId: idOf(make.number) })) : reservationsOf(),
  });
}

const maybe = (limit: number) => fc.option(fc.nat(limit), { nil: undefined, freq: 2 });
const anyRequest = fc
  .record({
    minGpuVramGb: fc.nat(6),
    minCpuCores: fc.option(fc.integer({ min: 1, max: 16 }), { nil: undefined }),
    minMemoryGb: fc.nat(3),
    minGpuVramPerCardGb: fc.constantFrom(0, 0, 1, 2),
    minGpuCount: fc.constantFrom(0, 0, 1, 2, 9),
    maxGpuVramGb: maybe(8),
    maxCpuCores: maybe(16),
    maxMemoryGb: maybe(4),
    gpuModels: fc.constantFrom<string[][]>([], [], ["rtx"], ["4090"], ["A100", "3080"]),
    labels: fc.constantFrom<Record<string, string>[]>({}, {}, { site: "north" }, { site: "nowhere" }),
    poolName: fc.constantFrom("", "", "lab", "nowhere"),
    orderBy: fc.constantFrom(...ORDERS),
    pageSize: fc.integer({ min: 1, max: 9 }),
  })
  .map((request) => wire.ListAvailableCapacityRequest.fromPartial(request));

function plainPage(fleet: Fleet, request: wire.ListAvailableCapacityRequest) {
  const { pageSize, pageToken, ...question } = request;
  const { figure, descending } = readOrder(request.orderBy);
  const asked = questionOf(request);
  const rows = [...fleet.agents()].filter((agent) => isAvailable(viewOf(agent), asked));
  const keyOf = (agent: StoredAgent) => ({ value: figure.valueOf(agent), agentId: agent.agentId });
  return pageOf(rows, { descending }, keyOf, { pageSize, pageToken, question });
}

function expectAgreement(fleet: Fleet, index: CapacityIndex, request: wire.ListAvailableCapacityRequest): void {
  for (let pageToken = "", pages = 0; pages < 4; pages += 1) {
    const asked = { ...request, pageToken };
    const plain = plainPage(fleet, asked);
    expect(findAvailable(index, asked)).toEqual(plain);
    pageToken = plain.nextPageToken;
    if (pageToken === "") return;
  }
}

describe("findAvailable", () => {
  it("R-CAP-4, R-CAP-9: agrees with a plain scan for every fleet, history, filter, order and page", () => {
    const change = fc.oneof(
      { weight: 4, arbitrary: anyAgent.map((make) => ({ kind: "put" as const, make })) },
      { weight: 1, arbitrary: fc.nat(30).map((number) => ({ kind: "remove" as const, number })) },
      { weight: 2, arbitrary: anyRequest.map((request) => ({ kind: "ask" as const, request })) },
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 80 }), anyRequest, (history, last) => {
        const fleet = new Fleet("r");
        const index = new CapacityIndex(fleet);
        for (const step of history) {
          if (step.kind === "put") fleet.put(build(step.make));
          else if (step.kind === "remove") fleet.remove(idOf(step.number));
          else expectAgreement(fleet, index, step.request);
        }
        expectAgreement(fleet, index, last);
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  it("R-CAP-4, R-CAP-9: agrees with a plain scan of thousands of agents, while they change", () => {
    // One large fleet exercises what small ones do not: divided columns, dense sets, orders of many blocks.
    const seeds = fc.tuple(
      fc.array(anyAgent, { minLength: 60, maxLength: 60 }),
      fc.array(anyRequest, { minLength: 12 }),
    );
    fc.assert(
      fc.property(seeds, ([makes, requests]) => {
        const fleet = new Fleet("r");
        const index = new CapacityIndex(fleet);
        const put = (number: number, salt: number): void => {
          const make = makes[(number * 7 + salt) % makes.length]!;
          fleet.put(build({ ...make, number, cores: (make.cores + number * salt) % 17 }));
        };
        for (let number = 0; number < 2_500; number += 1) put(number, 1);
        requests.forEach((request, round) => {
          expectAgreement(fleet, index, { ...request, pageSize: request.pageSize * 20 });
          for (let number = round; number < 2_500; number += 5) put(number, round + 2);
          fleet.remove(idOf(round * 100));
        });
      }),
      { numRuns: 2 },
    );
  }, 120_000);

  it("R-CAP-9: looks at no agent but those that it answers with, in a large fleet, and at mixed cards where a model is asked for", () => {
    const fleet = new Fleet("r");
    const index = new CapacityIndex(fleet);
    const makes = fc.sample(anyAgent, { numRuns: 500, seed: 1 });
    const size = 10_000;
    for (let number = 0; number < size; number += 1) {
      const make = makes[number % makes.length]!;
      fleet.put(build({ ...make, number, cores: (number * 7_919) % 997 }));
    }
    // Each order is made when it is asked for first.
    for (const orderBy of ORDERS) findAvailable(index, wire.ListAvailableCapacityRequest.fromPartial({ orderBy }));
    const looks = vi.spyOn(index, "agentAt");
    const othersLookedAt = (request: wire.ListAvailableCapacityRequest): number => {
      looks.mockClear();
      const { rows } = findAvailable(index, request);
      return looks.mock.calls.length - rows.length;
    };
    for (const request of fc.sample(anyRequest, { numRuns: 300, seed: 2 })) {
      // Columns and sets tell everything but which of an agent's cards is of the model, and of cards beyond the eighth.
      const isTold = request.gpuModels.length === 0 && request.minGpuCount < 9;
      expect(othersLookedAt(request), JSON.stringify(request)).toBeLessThanOrEqual(isTold ? 0 : size / 5);
    }
  }, 60_000);
});
