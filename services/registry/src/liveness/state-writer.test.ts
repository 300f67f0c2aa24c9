import { captureLogger, manualPorts } from "@headroom/testing";
import { afterEach, describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import { type BeatWrite, type StatusWrite, StoreUnavailableError } from "../store/registry-store.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { Pulses } from "./pulses.ts";
import { StateWriter } from "./state-writer.ts";

const { agentId } = agentWith();
const idOf = (each: number): string => `00000000-0000-4000-8000-${String(each).padStart(12, "0")}`;

interface Database {
  isAway: boolean;
  /** Writes of statuses that were tried. */
  tries: number;
  /** The SQLSTATE with which it refuses these statuses; null: it takes them. */
  refusal: (statuses: readonly StatusWrite[]) => string | null;
}

let writer: StateWriter | null = null;
afterEach(() => writer?.stop("test"));

async function start() {
  const ports = manualPorts();
  const fleet = new Fleet("here");
  fleet.put(agentWith({ replicaId: "here" }));
  const written: BeatWrite[] = [];
  const flushes = { count: 0 };
  const readers = { are: true };
  const statuses: StatusWrite[] = [];
  const logger = captureLogger();
  const database: Database = { isAway: false, tries: 0, refusal: () => null };
  const store = storeStub({
    writeBeats: (beats) => {
      if (database.isAway) return Promise.reject(new StoreUnavailableError("away"));
      written.push(...beats);
      return Promise.resolve({ nowMs: ports.clock.now() });
    },
    writeStatuses: (writes) => {
      database.tries += 1;
      const code = database.refusal(writes);
      if (code !== null) return Promise.reject(Object.assign(new Error(code), { code }));
      statuses.push(...writes);
      return Promise.resolve({ nowMs: ports.clock.now() });
    },
  });
  const storeClock = new StoreClock(ports.clock);
  writer = new StateWriter({
    replicaId: "here",
    fleet,
    pulses: new Pulses(),
    store,
    storeClock,
    ports,
    logger,
    hasReaders: () => readers.are,
    onBeatsWritten: () => (flushes.count += 1),
  });
  await writer.start();
  return { ports, written, statuses, writer, database, fleet, logger, flushes, readers };
}

describe("what beats say, on its way to the store", () => {
  it("DESIGN-4: samples wait for less than a second whenever they come, are gathered so long at most, and each write is told once", async () => {
    const { ports, written, writer: states, flushes } = await start();
    // Where none came for a while, the first waits for nobody.
    await ports.advance(1_100);
    states.sampled(agentId);
    await ports.advance(1);
    expect(written).toHaveLength(1);
    for (let round = 2; round < 12; round += 1) {
      await ports.advance(50);
      states.sampled(agentId);
      await ports.advance(100);
      // Other news of the same moment do not put them off.
      states.statusChanged(agentId);
      states.sampled(agentId);
      await ports.advance(600);
      expect(written).toHaveLength(round - 1);
      await ports.advance(50);
      expect(written).toHaveLength(round);
    }
    expect(written.at(-1)).toMatchObject({ agentId, sample: { sampledAtMs: 1_000 } });
    await ports.advance(10_000);
    expect(flushes.count).toBe(written.length);
  });

  it("samples of a process that nobody follows are gathered for a second: sooner they would be written for nobody", async () => {
    const { ports, written, writer: states, readers } = await start();
    readers.are = false;
    for (let each = 0; each < 100; each += 1) {
      await ports.advance(100);
      states.sampled(agentId);
    }
    expect(written).toHaveLength(10);
    readers.are = true;
    for (let each = 0; each < 100; each += 1) {
      await ports.advance(100);
      states.sampled(agentId);
    }
    expect(written.length).toBeGreaterThan(21);
  });

  it("a fleet that beats all the time is one write a second, however many agents it has", async () => {
    const { ports, writer: states, readers, flushes, fleet } = await start();
    readers.are = false;
    const agentIds = Array.from({ length: 1_000 }, (_, each) => idOf(each));
    for (const one of agentIds) fleet.put(agentWith({ agentId: one, replicaId: "here" }));
    await ports.advance(1_500);
    const before = flushes.count;
    for (let beat = 0; beat < 100; beat += 1) {
      for (const one of agentIds) states.sampled(one);
      await ports.advance(100);
    }
    expect(flushes.count - before).toBeGreaterThanOrEqual(9);
    expect(flushes.count - before).toBeLessThanOrEqual(11);
  });

  it("R-CAP-5: the first of a session is written at once: until then other processes offer nothing of the agent", async () => {
    const { ports, written, writer: states } = await start();
    await ports.advance(1_500);
    states.firstSample(agentId);
    await ports.advance(0);
    expect(written).toMatchObject([{ agentId, sample: { sampledAtMs: 1_000 } }]);
    states.sampled(agentId);
    await ports.advance(400);
    expect(written).toHaveLength(1);
  });

  it("of an agent that another process holds by now nothing is written back: what this one knows of it was read there", async () => {
    const { ports, written, writer: states, fleet } = await start();
    await ports.advance(1_500);
    states.sampled(agentId);
    fleet.put(agentWith({ replicaId: "elsewhere", epoch: 2 }));
    await ports.advance(2_000);
    expect(written).toEqual([]);
    expect(states.waiting).toBe(0);
  });

  it("a first sample that finds the store away is written with the others, as soon as it is back", async () => {
    const { ports, written, writer: states, database } = await start();
    await ports.advance(1_500);
    database.isAway = true;
    states.firstSample(agentId);
    await ports.advance(2_000);
    database.isAway = false;
    await ports.advance(2_000);
    expect(written).toMatchObject([{ agentId, sample: { sampledAtMs: 1_000 } }]);
  });
});

describe("a status that the store does not take", () => {
  const fleetSize = 1_000;
  async function startFleet() {
    const scene = await start();
    const ids = Array.from({ length: fleetSize }, (_, each) => idOf(each));
    for (const id of ids) scene.fleet.put(agentWith({ agentId: id, replicaId: "here", status: "offline" }));
    return { ...scene, ids };
  }
  const writtenOf = (statuses: readonly StatusWrite[]): readonly string[] => [
    ...new Set(statuses.map((write) => write.agentId)),
  ];

  it("is kept when it is not its own fault: nothing that a whole fleet became is lost by an outage of an unknown kind", async () => {
    const { ports, statuses, writer: states, database, ids, logger } = await startFleet();
    database.refusal = () => "42501";
    for (const id of ids) states.statusChanged(id);
    await ports.advance(0);
    expect(states.waiting).toBe(fleetSize);
    // The agents are not tried one by one.
    expect(database.tries).toBeLessThan(20);
    await ports.advance(5_000);
    expect(logger.records.filter(({ level }) => level === "error")).toEqual([]);
    expect(logger.records.filter(({ level }) => level === "warn")).toHaveLength(1);
    expect(logger.has("takes the fleet's states again")).toBe(false);

    database.refusal = () => null;
    await ports.advance(1_000);
    expect(writtenOf(statuses)).toHaveLength(fleetSize);
    expect(states.waiting).toBe(0);
    expect(logger.has("takes the fleet's states again", "info")).toBe(true);
  });

  it.each(["22P05", "23514", "XX000"])(
    "is given up when it is its own fault (%s), and keeps no other from being written",
    async (code) => {
      const { ports, statuses, writer: states, database, ids, logger } = await startFleet();
      const bad = new Set([0, 250, 251, 999].map(idOf));
      database.refusal = (writes) => (writes.some((write) => bad.has(write.agentId)) ? code : null);
      for (const id of ids) states.statusChanged(id);
      await ports.advance(0);
      expect(writtenOf(statuses)).toHaveLength(fleetSize - bad.size);
      expect(states.waiting).toBe(0);
      const refused = logger.records.filter(({ level }) => level === "error");
      expect(new Set(refused.map(({ fields }) => fields["agent_id"]))).toEqual(bad);
    },
  );

  it("is kept while no other is written, and keeps no sample from being written", async () => {
    const { ports, statuses, written, writer: states, database } = await startFleet();
    database.refusal = (writes) => (writes.some((write) => write.agentId === idOf(1)) ? "XX000" : null);
    states.statusChanged(idOf(1));
    await ports.advance(2_000);
    expect(states.waiting).toBe(1);
    await expect(states.flush()).rejects.toThrow("XX000");
    states.sampled(idOf(2));
    await ports.advance(1_000);
    expect(written.map((beat) => beat.agentId)).toEqual([idOf(2)]);
    states.statusChanged(idOf(3));
    await ports.advance(1_000);
    expect(writtenOf(statuses)).toEqual([idOf(3)]);
    expect(states.waiting).toBe(0);
  });

  it("one line for each would bury all else: a second has at most 50 of them", async () => {
    const { ports, writer: states, database, ids, logger } = await startFleet();
    database.refusal = () => "23514";
    for (const id of ids) states.statusChanged(id);
    await ports.advance(0);
    expect(states.waiting).toBe(0);
    expect(logger.records.filter(({ level }) => level === "error")).toHaveLength(50);
  });
});
