/** The start of a service: what its schema waits for. */
import pg from "pg";
import { systemPorts } from "@headroom/runtime";
import { captureLogger, createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Migration, postgresAt } from "./index.ts";

let test: TestDatabase;
let other: pg.Client;
let logger = captureLogger();
beforeEach(async () => {
  logger = captureLogger();
  test = await createTestDatabase({ label: "prepare" });
  other = new pg.Client({ connectionString: test.connectionString });
  other.on("error", () => undefined);
  await other.connect();
});
afterEach(async () => {
  await other.end();
  await test.drop();
});

const first: Migration = { name: "0001_agents", up: "CREATE TABLE agents (id int)" };

const prepare = (migrations: readonly Migration[], signal = new AbortController().signal): Promise<void> =>
  postgresAt(test).prepare({
    schema: "registry",
    migrations,
    applicationName: "test",
    logger,
    ports: systemPorts,
    signal,
    lockWaitMs: 100,
    betweenLockTriesMs: 100,
  });
const warned = (message: string | RegExp): Promise<unknown> =>
  waitFor(() => logger.has(message, "warn"), { describe: () => logger.text() });

describe("a start", () => {
  it("waits for a process that keeps the migration lock, and says so", async () => {
    await other.query("SELECT pg_advisory_lock(hashtext('headroom-migrate'), hashtext('registry'))");
    const prepared = prepare([first]);
    await warned(/waiting for the database's schema: another process has been migrating schema "registry"/);
    await other.query("SELECT pg_advisory_unlock_all()");
    await prepared;
    expect(await test.sql("SELECT name FROM registry.migrations")).toEqual([{ name: "0001_agents" }]);
  });

  it("can be stopped while it waits for that", async () => {
    await other.query("SELECT pg_advisory_lock(hashtext('headroom-migrate'), hashtext('registry'))");
    const stop = new AbortController();
    const prepared = prepare([first], stop.signal);
    await warned("another process has been migrating");
    stop.abort(new Error("stopped"));
    await expect(prepared).rejects.toThrow("stopped");
  });

  it("tries again when a table that it changes is in use for too long (55P03)", async () => {
    await prepare([first]);
    await other.query("BEGIN; LOCK TABLE registry.agents");
    const widen: Migration = {
      name: "0002_size",
      up: "SET LOCAL lock_timeout = '50ms'; ALTER TABLE agents ADD COLUMN size int",
    };
    const prepared = prepare([first, widen]);
    await warned("in use by others");
    await other.query("ROLLBACK");
    await prepared;
    expect(await test.sql("SELECT size FROM registry.agents")).toEqual([]);
  });

  it("lets a migration outside a transaction wait for long: nobody waits for it", async () => {
    await prepare([first]);
    await other.query("BEGIN; LOCK TABLE registry.agents IN ROW EXCLUSIVE MODE");
    const index: Migration = {
      name: "0002_index",
      transaction: false,
      up: async (db) => {
        const { rows } = await db.raw<{ rows: readonly { lock_timeout: string }[] }>("SHOW lock_timeout");
        expect(rows[0]?.lock_timeout).toBe("10min");
        await db.raw("CREATE INDEX CONCURRENTLY agents_id ON registry.agents (id)");
      },
    };
    const prepared = prepare([first, index]);
    await waitFor(async () => {
      const [row] = await test.sql(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'virtualxid' AND query LIKE 'CREATE INDEX%'",
      );
      return row?.["n"] === 1;
    });
    await other.query("COMMIT");
    await prepared;
    expect(await test.sql("SELECT 1 AS there FROM pg_indexes WHERE indexname = 'agents_id'")).toEqual([{ there: 1 }]);
  });

  it("begins again when it loses the connection that holds the lock", async () => {
    let runs = 0;
    const cut: Migration = {
      name: "0002_cut",
      up: async (db) => {
        runs += 1;
        if (runs === 1) {
          await test.sql(`SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
                           WHERE locktype = 'advisory' AND datname = current_database()`);
        }
        await db.raw("CREATE TABLE rest (id int)");
      },
    };
    await prepare([first, cut]);
    expect(runs).toBe(2);
    expect(logger.has("waiting for it again", "warn")).toBe(true);
    expect(await test.sql("SELECT id FROM registry.rest")).toEqual([]);
  });

  it("does not try again what waiting cannot heal", async () => {
    await expect(prepare([{ name: "0001_wrong", up: "CREATE TABLE" }])).rejects.toThrow("syntax error");
    expect(logger.has(/waiting for|trying again/)).toBe(false);
  });
});
