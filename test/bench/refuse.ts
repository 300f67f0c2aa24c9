/**
 * What one refused reservation costs the event loop of a registry: nothing else of the process runs meanwhile. In this process,
 * without a socket and a database; CPU time and not the clock's, so that other programs of the machine count as little as may be.
 */
import { randomUUID } from "node:crypto";
import {
  CardHistory,
  DEFAULT_RULE_NAME,
  type Needs,
  NO_FLAPS,
  normalizeNeeds,
  type PartialNeeds,
  type Sample,
  TaskMix,
} from "@headroom/scheduling";
import { Fleet } from "../../services/registry/src/fleet/fleet.ts";
import { CapacityIndex } from "../../services/registry/src/fleet/index/capacity-index.ts";
import { AgentStates } from "../../services/registry/src/placement/agent-states.ts";
import { PlacementPolicies } from "../../services/registry/src/placement/placement-policies.ts";
import { placingBy } from "../../services/registry/src/placement/placing.ts";
import { Draft } from "../../services/registry/src/reservations/draft.ts";
import { reserveOperation, type ReserveOptions } from "../../services/registry/src/reservations/reserve.ts";
import { ReservationBook } from "../../services/registry/src/store/reservation-book.ts";
import type { StoredAgent } from "../../services/registry/src/store/stored-agent.ts";
import { type Bench, progress } from "./support/bench.ts";
import { median, rounded } from "./support/stats.ts";

const LIMIT_MS = 2;

/** Each is refused on every agent of the fleet: too little is free, or the machines are too small. */
const ASKED: Readonly<Record<string, PartialNeeds>> = {
  cpu_not_now: { cpuMillicores: 7_000 },
  cpu_never: { cpuMillicores: 64_000 },
  vram_not_now: { gpuVramMib: 20_000 },
  vram_never: { gpuVramMib: 90_000 },
  two_cards: { gpuCount: 2, gpuVramMib: 20_000 },
  in_one_pool: { cpuMillicores: 9_000, pool: "pool-3" },
  all_at_once: { cpuMillicores: 9_000, memoryMib: 60_000, gpuVramMib: 20_000 },
};

export const refuse: Bench = async ({ quick }) => {
  const agents = quick ? 10_000 : 100_000;
  const fleet = new Fleet("bench");
  for (let index = 0; index < agents; index += 1) fleet.put(makeAgent(index));
  const index = new CapacityIndex(fleet);
  index.refresh();
  const options = reserveOptions(fleet, index);
  const found = Object.entries(ASKED).map(([name, asked]) => {
    const times = measure(fleet, options, normalizeNeeds(asked), quick ? 50 : 300);
    progress(`${name}: ${rounded(median(times))} ms, ${rounded(Math.min(...times))} ms at best`);
    return [name, rounded(median(times))] as const;
  });
  const value = Math.max(...found.map(([, ms]) => ms));
  return Promise.resolve({
    bench: "refuse",
    ratio: rounded(value / LIMIT_MS),
    value,
    limit: LIMIT_MS,
    unit: "ms of CPU for one refused reservation, the median of the costliest question",
    target: `<= ${LIMIT_MS} ms`,
    reached: value <= LIMIT_MS,
    agents,
    by_question: Object.fromEntries(found),
  });
};

/** As the registry reserves, with its default policy. */
function reserveOptions(fleet: Fleet, index: CapacityIndex): ReserveOptions {
  const states = new AgentStates(fleet);
  states.refreshSome(Number.POSITIVE_INFINITY);
  const experience = { mix: new TaskMix(), history: new CardHistory() };
  const policy = new PlacementPolicies(DEFAULT_RULE_NAME, states, experience).named("");
  if (policy === null) throw new RangeError("the default policy is unknown");
  return {
    allOrNothing: false,
    index,
    heartbeatIntervalMs: 5_000,
    ...placingBy(policy, { index, states, experience }, false),
    random: 0,
    revision: () => fleet.revision,
  };
}

function measure(fleet: Fleet, options: ReserveOptions, needs: Needs, runs: number): readonly number[] {
  return Array.from({ length: runs }, () => {
    const request = { attemptId: randomUUID(), fence: 1, needs, taskId: "", planId: "", kind: "attempt" as const };
    const operation = reserveOperation([{ ...request, avoidAgentIds: new Set(), expectedDurationMs: null }], options);
    const before = process.cpuUsage();
    const [result] = operation.plan(new Draft(fleet, 0)).results;
    const { user, system } = process.cpuUsage(before);
    if (result?.kind !== "no_room") throw new Error(`it should have been refused: ${JSON.stringify(needs)}`);
    return (user + system) / 1_000;
  });
}

function makeAgent(index: number): StoredAgent {
  return {
    agentId: randomUUID(),
    hostname: `desk-${index}`,
    agentType: "desktop",
    poolName: `pool-${index % 20}`,
    labels: { site: index % 2 === 0 ? "north" : "south" },
    version: "0.1.0",
    platform: "linux x64",
    administeredAtUs: 0,
    cordoned: index % 40 === 0,
    cordonReason: "",
    draining: false,
    drainDeadlineMs: null,
    firstSeenAtMs: 1,
    status: index % 50 === 0 ? "offline" : "online",
    statusReason: "hello",
    statusSinceMs: 1,
    flapping: NO_FLAPS,
    epoch: 1,
    incarnation: null,
    replicaId: null,
    lastBeatAtMs: null,
    attached: true,
    ownerHold: false,
    sample: makeSample(index),
    guardVersion: 0,
    reservations: ReservationBook.EMPTY,
  };
}

function makeSample(index: number): Sample {
  const cards = Array.from({ length: index % 3 === 0 ? 2 : 1 }, (_, card) => ({
    cardId: `gpu-${card}`,
    index: card,
    model: "RTX 4090",
    vramTotalMib: 24_576,
    vramAvailableMib: 4_096 + ((index * 37) % 8_000) - card * 100,
    vramOfferMib: 24_576,
    declared: false,
    sharedMemory: false,
  }));
  return {
    sampledAtMs: 1_000,
    cpu: { total: 16_000, available: (index % 7) * 1_000, offer: 16_000, declared: false },
    cpuLoadPercent: 10,
    memory: { total: 65_536, available: 32_768 + (index % 1_000), offer: 65_536, declared: false },
    cards,
    attempts: [],
  };
}
