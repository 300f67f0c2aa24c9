import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestDatabase, waitFor } from "@headroom/testing";
import { classifyError, defineStatement, type PooledDatabase } from "./index.ts";
import { addToCounter, type Counters, createCounters, readCounter } from "./pool.test-helper.ts";

let counters: Counters;
let test: TestDatabase;
let db: PooledDatabase;
const outcomes: string[] = [];
const open: Counters["open"] = (options) => counters.open(options);

beforeAll(async () => {
  counters = await createCounters("pool");
  test = counters.test;
});
beforeEach(async () => {
  await counters.reset();
  outcomes.length = 0;
  db = open({
    max: 4,
    metrics: {
      statementFinished: (statement, durationMs, outcome) =>
        outcomes.push(`${statement} ${outcome} ${durationMs >= 0}`),
      transactionRetried: () => outcomes.push("retried"),
    },
  });
});
afterAll(() => counters?.close());

describe("sessions", () => {
  it("have one schema, UTC, limits and a name", async () => {
    const result: { rows: Record<string, string>[] } = await db.knex.raw(`
      SELECT current_setting('search_path') AS path, current_setting('timezone') AS zone,
             current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
             current_setting('idle_in_transaction_session_timeout') AS idle, current_setting('application_name') AS name`);
    expect(result.rows).toEqual([
      { path: '"work"', zone: "UTC", statement: "30s", lock: "10s", idle: "30s", name: "pool-test" },
    ]);
  });

  it("keep what they commit where the role does without, and leave every stronger wish as it is", async () => {
    const { role } = (await db.knex.raw<{ rows: { role: string }[] }>("SELECT current_user AS role")).rows[0]!;
    const inNew = async (setting: string): Promise<unknown> => {
      await db.knex.raw(`ALTER ROLE ${role} IN DATABASE "${test.name}" SET synchronous_commit = ${setting}`);
      const { rows } = await open().knex.raw<{ rows: object[] }>("SHOW synchronous_commit");
      return rows[0];
    };
    try {
      expect(await inNew("off")).toEqual({ synchronous_commit: "on" });
      expect(await inNew("local")).toEqual({ synchronous_commit: "local" });
      expect(await inNew("remote_apply")).toEqual({ synchronous_commit: "remote_apply" });
    } finally {
      await db.knex.raw(`ALTER ROLE ${role} IN DATABASE "${test.name}" RESET synchronous_commit`);
    }
  });

  it("give int8 as numbers, timestamptz as epoch milliseconds, json parsed", async () => {
    const values = defineStatement<Record<string, unknown>>({
      name: "test_values",
      text: `SELECT 5::int8 AS big, ARRAY[1, 2]::int8[] AS bigs, to_timestamp(1.5) AS at, $1::timestamptz AS given,
                    '{"a": [1]}'::jsonb AS doc, 1.5::numeric AS exact, NULL::int8 AS nothing,
                    ARRAY[to_timestamp(2), NULL] AS ats, count(*) AS counted FROM counters`,
    });
    expect(await db.query(values, [new Date(1_700_000_000_123)])).toEqual([
      {
        big: 5,
        bigs: [1, 2],
        at: 1_500,
        given: 1_700_000_000_123,
        doc: { a: [1] },
        exact: "1.5",
        nothing: null,
        ats: [2_000, null],
        counted: 2,
      },
    ]);
    expect(await db.knex("counters").select("id", "n").where({ id: 1 })).toEqual([{ id: 1, n: 0 }]);
  });
});

describe("statements", () => {
  it("are prepared once per connection, and counted", async () => {
    const one = open({ max: 1 });
    for (let round = 1; round <= 3; round += 1)
      expect(await one.query(addToCounter, [1, 2])).toEqual([{ id: 1, n: 2 * round }]);
    const prepared: { rows: object[] } = await one.knex.raw("SELECT name FROM pg_prepared_statements");
    expect(prepared.rows).toEqual([{ name: "test_add_to_counter" }]);
    expect(await db.execute(readCounter, [7])).toBe(0);
    expect(await db.execute(addToCounter, [1, 1])).toBe(1);
    await expect(db.query(addToCounter, [1, 1_000])).rejects.toThrow("small");
    expect(outcomes).toEqual([
      "test_read_counter ok true",
      "test_add_to_counter ok true",
      "test_add_to_counter other true",
    ]);
  });

  it("that were prepared before a column got another type are prepared anew, alone and in a transaction, whichever connection they meet", async () => {
    const pool = open({ max: 8 });
    const read = () => pool.query(readCounter, [1]);
    const readAll = () => Promise.all(Array.from({ length: 8 }, read));
    const readInTransaction = () => pool.transaction((tx) => tx.query(readCounter, [1]));
    await readAll();
    try {
      await test.sql("ALTER TABLE work.counters ALTER COLUMN n TYPE int");
      expect(await readInTransaction()).toEqual([{ id: 1, n: 0 }]);
      expect(await readAll()).toEqual(Array.from({ length: 8 }, () => [{ id: 1, n: 0 }]));
    } finally {
      await test.sql("ALTER TABLE work.counters ALTER COLUMN n TYPE bigint");
    }
    expect(await read()).toEqual([{ id: 1, n: 0 }]);
    expect(await readInTransaction()).toEqual([{ id: 1, n: 0 }]);
  });

  it("that met a changed type heal the whole pool at once: not every connection costs a statement", async () => {
    const pool = open({
      max: 6,
      metrics: { statementFinished: () => undefined, transactionRetried: () => outcomes.push("retried") },
    });
    const hold = () =>
      pool.transaction(async (tx) => {
        await tx.query(readCounter, [1]);
        await tx.knex.raw("SELECT pg_sleep(0.05)");
      });
    await Promise.all(Array.from({ length: 6 }, hold));
    try {
      await test.sql("ALTER TABLE work.counters ALTER COLUMN n TYPE int");
      for (let each = 0; each < 12; each += 1) await pool.query(readCounter, [1]);
      expect(outcomes).toEqual(["retried"]);
    } finally {
      await test.sql("ALTER TABLE work.counters ALTER COLUMN n TYPE bigint");
    }
  });

  it("of a duplicate say which constraint", async () => {
    const error: unknown = await db
      .knex("counters")
      .insert({ id: 1, n: 1 })
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect(classifyError(error)).toEqual({ kind: "unique_violation", constraint: "counters_pkey" });
  });

  it("that run too long end with a timeout, and those that wait too long for a lock with a conflict", async () => {
    const hasty = open({ statementTimeoutMs: 100, lockTimeoutMs: 50 });
    await expect(hasty.knex.raw("SELECT pg_sleep(60)")).rejects.toSatisfy(
      (error) => classifyError(error).kind === "timeout",
    );
    await db.transaction(async (tx) => {
      await tx.query(addToCounter, [1, 1]);
      await expect(hasty.query(addToCounter, [1, 1])).rejects.toSatisfy(
        (error) => classifyError(error).kind === "conflict",
      );
    });
  });
});

describe("transactions", () => {
  it("commit what resolves and roll back what rejects, statements and builder alike", async () => {
    const kept = await db.transaction(async (tx) => {
      await tx.query(addToCounter, [1, 5]);
      await tx.knex("counters").where({ id: 2 }).update({ n: 6 });
      return "done";
    });
    expect(kept).toBe("done");
    const failing = db.transaction(async (tx) => {
      await tx.query(addToCounter, [1, 100]);
      await tx.knex("counters").where({ id: 2 }).update({ n: 100 });
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    expect(await db.knex("counters").select("id", "n").orderBy("id")).toEqual([
      { id: 1, n: 5 },
      { id: 2, n: 6 },
    ]);
  });

  it("run again after serialization failures until all have been counted", async () => {
    const wide = open({ max: 8 });
    const adds = Array.from({ length: 8 }, () =>
      wide.transaction(
        async (tx) => {
          const [row] = await tx.query(readCounter, [1]);
          await tx
            .knex("counters")
            .where({ id: 1 })
            .update({ n: (row?.n ?? 0) + 1 });
        },
        { isolation: "serializable", maxAttempts: 50 },
      ),
    );
    await Promise.all(adds);
    expect(await db.query(readCounter, [1])).toEqual([{ id: 1, n: 8 }]);
  });

  it("run again after a deadlock", async () => {
    let runs = 0;
    let bothHold: (() => void) | undefined;
    const barrier = new Promise<void>((resolve) => (bothHold = resolve));
    let holding = 0;
    const cross = (first: number, second: number): Promise<void> =>
      db.transaction(async (tx) => {
        runs += 1;
        await tx.query(addToCounter, [first, 1]);
        holding += 1;
        if (holding >= 2) bothHold?.();
        await barrier;
        await tx.query(addToCounter, [second, 1]);
      });
    await Promise.all([cross(1, 2), cross(2, 1)]);
    expect(runs).toBe(3);
    expect(await db.query(readCounter, [1])).toEqual([{ id: 1, n: 2 }]);
    expect(outcomes).toContain("retried");
  });

  it("a statement on its own that a deadlock ends is run again", async () => {
    const addToBoth = defineStatement<{ readonly id: number }>({
      name: "test_add_to_both",
      text: `WITH first AS (UPDATE counters SET n = n + 1 WHERE id = 1 RETURNING id)
             UPDATE counters SET n = n + 1 WHERE id = 2 AND EXISTS (SELECT FROM first) RETURNING id`,
    });
    let alone: Promise<unknown> = Promise.resolve();
    await db.transaction(async (tx) => {
      await tx.query(addToCounter, [2, 1]);
      // It takes the first and waits for the second, longer than this transaction then waits for the first.
      alone = db.query(addToBoth);
      // Of this database: others of the server have locks of their own to wait for.
      const waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
      await waitFor(async () => (await test.sql(waits)).length > 0);
      await tx.query(addToCounter, [1, 1]);
    });
    expect(await alone).toEqual([{ id: 2 }]);
    expect(outcomes).toContain("retried");
    expect(await db.query(readCounter, [1])).toEqual([{ id: 1, n: 2 }]);
    expect(await db.query(readCounter, [2])).toEqual([{ id: 2, n: 2 }]);
  });

  it("give up after the allowed attempts, and do not retry other errors", async () => {
    let runs = 0;
    const fail = (code: string): Promise<void> =>
      db.transaction(
        async (tx) => {
          runs += 1;
          await tx.knex.raw(`DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '${code}'; END $$`);
        },
        { maxAttempts: 3 },
      );
    await expect(fail("40001")).rejects.toMatchObject({ code: "40001" });
    expect(runs).toBe(3);
    await expect(fail("22000")).rejects.toMatchObject({ code: "22000" });
    expect(runs).toBe(4);
  });

  it("are of no use after their end", async () => {
    const leaked = await db.transaction((tx) => Promise.resolve(tx));
    await expect(leaked.query(readCounter, [1])).rejects.toThrow("after the end of its transaction");
  });

  it("can be read-only", async () => {
    const writing = db.transaction((tx) => tx.query(addToCounter, [1, 1]), { readOnly: true });
    await expect(writing).rejects.toMatchObject({ code: "25006" });
  });
});

describe("the pool", () => {
  it("survives that all its idle connections are cut, and replaces them", async () => {
    const pool = open({ max: 3 });
    await Promise.all([1, 2, 3].map(() => pool.knex.raw("SELECT pg_sleep(0.05)")));
    expect(pool.stats()).toEqual({ used: 0, free: 3, waiting: 0 });
    await test.terminateSessions();
    await waitFor(() => pool.ping().then(() => true));
    expect(await pool.query(readCounter, [1])).toEqual([{ id: 1, n: 0 }]);
  });

  it("says unavailable when a connection is cut in the middle, when it is full, and when nobody is there", async () => {
    const kindOf = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => "ok",
        (error: unknown) => classifyError(error).kind,
      );
    const small = open({ max: 1, acquireTimeoutMs: 200 });
    const long = kindOf(small.knex.raw("SELECT pg_sleep(60)").then());
    await waitFor(() => small.stats().used === 1);
    expect(await kindOf(small.query(readCounter, [1]))).toBe("unavailable");
    await waitFor(async () => {
      const [row] = await test.sql<{ n: number }>(
        "SELECT count(pg_terminate_backend(pid))::int AS n FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep(60)%'",
      );
      return row?.n === 1;
    });
    expect(await long).toBe("unavailable");
    expect(await kindOf(small.ping())).toBe("ok");
    const nowhere = open({ connection: "postgresql://nobody@127.0.0.1:1/none" });
    expect(await kindOf(nowhere.ping())).toBe("unavailable");
    const noSocket = open({ connection: "postgresql://nobody@localhost/none?host=/nowhere" });
    expect(await kindOf(noSocket.transaction((tx) => tx.query(readCounter, [1])))).toBe("unavailable");
  });

  it("refuses a server that takes no writes: a standby, whose primary is elsewhere", async () => {
    await test.sql(`ALTER DATABASE ${test.name} SET default_transaction_read_only = on`);
    const pool = open();
    const refused = pool.query(readCounter, [1]);
    await expect(refused).rejects.toThrow(/takes no writes .*DATABASE_URL/);
    await expect(refused).rejects.toSatisfy((error) => classifyError(error).kind === "unavailable");
    await test.sql(`SET transaction_read_only = off; ALTER DATABASE ${test.name} RESET default_transaction_read_only`);
    expect(await pool.query(readCounter, [1])).toEqual([{ id: 1, n: 0 }]);
  });

  it.each(["a statement", "a transaction", "the builder"])(
    "drops a connection on which %s was told that writes are refused",
    async (by) => {
      const pool = open({ max: 1 });
      // What the session of a primary that became a standby says.
      await pool.knex.raw("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY");
      const write = (): PromiseLike<unknown> => {
        if (by === "a statement") return pool.query(addToCounter, [1, 1]);
        if (by === "the builder") return pool.knex("counters").where({ id: 1 }).update({ n: 1 });
        return pool.transaction((tx) => tx.query(addToCounter, [1, 1]));
      };
      await expect(Promise.resolve(write())).rejects.toMatchObject({ code: "25006" });
      await write();
      expect(await pool.query(readCounter, [1])).toEqual([{ id: 1, n: 1 }]);
    },
  );

  it("can be closed twice", async () => {
    const pool = open();
    await pool.ping();
    await Promise.all([pool.close(), pool.close()]);
    await pool.close();
    await expect(pool.ping()).rejects.toThrow();
  });
});
