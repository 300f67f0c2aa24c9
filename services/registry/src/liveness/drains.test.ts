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
  const database = { isAway: false };
  const store = storeStub({
    commitReservations(commit): Promise<CommitResult> {
      rows.nowMs = ports.clock.now();
      return database.isAway ? Promise.reject(new StoreUnavailableError("away")) : rows.commitReservations(commit);
    },
  });
  const storeClock = new StoreClock(ports.clock);
  const desk = new ReservationDesk({ fleet, store, storeClock, logger, takeLoaded: () => undefined });
  const drains = new Drains({ fleet, store, storeClock, desk, logger });
  const seen = (): StoredAgent => fleet.get(agent.agentId)!;
  return {
    fleet,
    database,
    seen,
    /** A second of the sweep. */
    sweepAfter: async (ms: number): Promise<void> => {
      await ports.advance(ms);
      drains.look(seen());
      await drains.finish();
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
    database.isAway = true;
    await sweepAfter(DEADLINE_MS);
    expect(held()).toContain(KEPT);
    database.isAway = false;
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
