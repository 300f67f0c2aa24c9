/** What is kept on an agent that is to be empty, in virtual time. */
import { captureLogger, manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { ReservationDesk } from "../reservations/desk.ts";
import { MemoryRows } from "../reservations/memory-rows.test-helper.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import { type CommitResult, StoreUnavailableError } from "../store/registry-store.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { agentWith, reservationsOf, reservationWith } from "../test-agents.test-helper.ts";
import { Drains } from "./drains.ts";

const DEADLINE_MS = 10_000;
const [KEPT, PROMISED, RUNNING] = ["a1", "a2", "a3"].map((end) => `00000000-0000-4000-8000-0000000000${end}`);

/** An agent that is being drained, on which room is kept, promised and used. */
function setUp() {
  const ports = manualPorts();
  const logger = captureLogger();
  const fleet = new Fleet("r");
  const startMs = ports.clock.now();
  const lease = { leaseExpiresAtMs: startMs + 3_600_000 };
  const agent = agentWith({
    cordoned: true,
    draining: true,
    drainDeadlineMs: startMs + DEADLINE_MS,
    reservations: reservationsOf(
      reservationWith({ attemptId: KEPT!, state: "hold", fence: 7, ...lease }),
      reservationWith({ attemptId: PROMISED!, state: "unconfirmed", ...lease }),
      reservationWith({ attemptId: RUNNING!, state: "confirmed" }),
    ),
  });
  fleet.put(agent);
  const rows = new MemoryRows([agent]);
  /** `stored`: what it answers of agents whose drains are to end. */
  const database = { fault: null as Error | null, stored: [] as StoredAgent[] };
  const store = storeStub({
    commitReservations(commit): Promise<CommitResult> {
      rows.nowMs = ports.clock.now();
      return database.fault === null ? rows.commitReservations(commit) : Promise.reject(database.fault);
    },
    endDrains: (agentIds) =>
      Promise.resolve({
        agents: database.stored.filter(({ agentId }) => agentIds.includes(agentId)),
        nowMs: ports.clock.now(),
      }),
  });
  const storeClock = new StoreClock(ports.clock);
  const desk = new ReservationDesk({ fleet, store, storeClock, logger, takeLoaded: () => undefined });
  const drains = new Drains({ fleet, store, storeClock, desk, logger });
  const seen = (): StoredAgent => fleet.get(agent.agentId)!;
  return {
    fleet,
    database,
    logger,
    seen,
    /** A second of the sweep. */
    sweepAfter: async (ms: number): Promise<void> => {
      await ports.advance(ms);
      for (const each of [...fleet.agents()]) drains.look(each);
      drains.finishSoon();
      await drains.idle();
    },
    held: () => [...seen().reservations.held()].map(({ attemptId }) => attemptId),
  };
}

describe("a drain whose deadline has passed", () => {
  it("V13: gives kept room back, for it may be renewed for ever; what is promised to an attempt stays", async () => {
    const { sweepAfter, held, seen } = setUp();
    await sweepAfter(DEADLINE_MS - 1);
    expect(held()).toEqual([KEPT, PROMISED, RUNNING]);
    await sweepAfter(1);
    expect(held()).toEqual([PROMISED, RUNNING]);
    expect(seen().reservations.get(KEPT!)).toMatchObject({ state: "released", fence: 7 });
  });

  it("V13: tries again where the database was away", async () => {
    const { database, sweepAfter, held } = setUp();
    database.fault = new StoreUnavailableError("away");
    await sweepAfter(DEADLINE_MS);
    expect(held()).toContain(KEPT);
    database.fault = null;
    await sweepAfter(1_000);
    expect(held()).not.toContain(KEPT);
  });

  it("leaves kept room alone where there is no deadline, or no drain any more", async () => {
    for (const change of [{ drainDeadlineMs: null }, { draining: false, cordoned: false, drainDeadlineMs: null }]) {
      const { fleet, sweepAfter, held, seen } = setUp();
      fleet.put({ ...seen(), ...change });
      await sweepAfter(DEADLINE_MS);
      expect(held()).toContain(KEPT);
    }
  });
});

describe("a drain that is over", () => {
  const empty = agentWith({
    agentId: "00000000-0000-4000-8000-000000000002",
    cordoned: true,
    draining: true,
    administeredAtUs: 1,
  });
  const ended = { ...empty, draining: false, administeredAtUs: 2 };

  it("ends though kept room elsewhere cannot be given back, whatever is wrong there, which is said once", async () => {
    const { fleet, database, logger, sweepAfter, held } = setUp();
    fleet.put(empty);
    database.stored = [ended];
    database.fault = new TypeError("a fault of ours");
    await sweepAfter(DEADLINE_MS);
    expect(fleet.get(empty.agentId)).toMatchObject({ cordoned: true, draining: false });
    await sweepAfter(1_000);
    await sweepAfter(1_000);
    const said = () => logger.records.filter(({ message }) => message.startsWith("room that was kept on agents"));
    expect(said().map(({ level }) => level)).toEqual(["warn", "debug", "debug"]);
    database.fault = null;
    await sweepAfter(1_000);
    expect(held()).not.toContain(KEPT);
    expect(said().map(({ level }) => level)).toEqual(["warn", "debug", "debug", "info"]);
  });

  it("that cannot be ended keeps no sweep from its work", async () => {
    const { fleet, database, logger, sweepAfter } = setUp();
    fleet.put(empty);
    database.stored = [ended];
    const unsubscribe = fleet.onChange(() => {
      throw new TypeError("a fault of ours");
    });
    await sweepAfter(1_000);
    expect(logger.has("drains that are over cannot be ended now", "warn")).toBe(true);
    unsubscribe();
  });

  it("is not told to have ended while room is promised there of which nothing was known here", async () => {
    const { fleet, database, logger, sweepAfter } = setUp();
    fleet.put(empty);
    database.stored = [{ ...empty, guardVersion: 1, reservations: reservationsOf(reservationWith()) }];
    await sweepAfter(1_000);
    expect(fleet.get(empty.agentId)!.draining).toBe(true);
    expect(fleet.get(empty.agentId)!.reservations.heldCount).toBe(1);
    expect(logger.has("agent is drained")).toBe(false);
    database.stored = [{ ...ended, guardVersion: 2 }];
    fleet.put({ ...fleet.get(empty.agentId)!, guardVersion: 2, reservations: reservationsOf() });
    await sweepAfter(1_000);
    expect(logger.has("agent is drained")).toBe(true);
  });
});
