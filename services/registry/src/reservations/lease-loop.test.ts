import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { StoreUnavailableError } from "../store/registry-store.ts";
import { createLeaseLoop, purgeTombstones } from "./lease-loop.ts";

function setUp() {
  const ports = manualPorts();
  const database = { tombstones: 0, isAway: false, statements: 0 };
  const store = {
    purgeTombstones(_olderThanMs: number, limit: number) {
      if (database.isAway) return Promise.reject(new StoreUnavailableError("away"));
      database.statements += 1;
      const purged = Math.min(limit, database.tombstones);
      database.tombstones -= purged;
      return Promise.resolve(purged);
    },
  };
  /** Each other tick takes its time, as the end of many leases does. */
  let ticks = 0;
  const desk = {
    isDue: true,
    async tick() {
      ticks += 1;
      ports.clock.pass(ticks % 2 === 0 ? 300 : 0);
      await Promise.resolve();
    },
  };
  const loop = createLeaseLoop({ desk, store, ports, logger: captureLogger() });
  return { ports, database, store, loop };
}

it("tombstones are deleted as fast as they come, however fast, and whatever else a second brings", async () => {
  const { ports, database, loop } = setUp();
  await loop.start();
  for (let second = 0; second < 120; second += 1) {
    database.tombstones += 5_000;
    await ports.advance(1_000);
  }
  // The last two seconds may be left.
  expect(database.tombstones).toBeLessThanOrEqual(10_000);
  await loop.stop("test");
});

it("where there are none it is asked for once a minute, and after an outage at once", async () => {
  const { ports, database, loop } = setUp();
  await loop.start();
  await ports.advance(600_000);
  expect(database.statements).toBeLessThanOrEqual(13);
  database.isAway = true;
  await ports.advance(120_000);
  database.isAway = false;
  database.tombstones = 3_000;
  await ports.advance(3_000);
  expect(database.tombstones).toBe(0);
  await loop.stop("test");
});

it("says whether it is through", async () => {
  const { database, store } = setUp();
  database.tombstones = 45_000;
  expect(await purgeTombstones(store)).toEqual({ purged: 20_000, areMoreDue: true });
  expect(await purgeTombstones(store)).toEqual({ purged: 20_000, areMoreDue: true });
  expect(await purgeTombstones(store)).toEqual({ purged: 5_000, areMoreDue: false });
});
