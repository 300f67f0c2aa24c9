import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Cable, startCable, waitFor } from "@headroom/testing";
import { classifyError, defineStatement } from "./index.ts";
import { addToCounter, type Counters, createCounters, readCounter } from "./pool.test-helper.ts";

const smallQuestion = defineStatement<{ readonly one: number }>({
  name: "test_small_question",
  text: "SELECT 1 AS one",
  // Generous: a loaded machine takes its time to answer, too.
  answerWithinMs: 2_000,
});
const sleepFor = defineStatement<{ readonly slept: string }>({
  name: "test_sleep_for",
  text: "SELECT pg_sleep($1::double precision)::text AS slept",
});

let counters: Counters;
const open: Counters["open"] = (options) => counters.open(options);

/** A way to the server that can be cut, or lead nowhere. */
async function throughCable(): Promise<{ readonly cable: Cable; readonly connection: string }> {
  const { host, port, user, password, database } = new pg.Client(counters.test.connectionString);
  const cable = await startCable(host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
  const connection = new URL(`postgresql://127.0.0.1:${cable.address.port}/${database}`);
  connection.username = user ?? "";
  connection.password = typeof password === "string" ? password : "";
  return { cable, connection: connection.href };
}

beforeAll(async () => {
  counters = await createCounters("silent_server");
});
beforeEach(() => counters.reset());
afterAll(() => counters?.close());

describe("a server that says nothing", () => {
  it("drops a connection whose answer did not come, so that nobody gets another's answer", async () => {
    // The server is told to wait for ever while the client stops waiting 10 s after the statement's limit.
    const pool = open({ max: 1, statementTimeoutMs: 50 });
    const silent = pool.transaction(async (tx) => {
      await tx.knex.raw("SET LOCAL statement_timeout = 0");
      await tx.knex.raw("SELECT pg_sleep(60)");
    });
    await expect(silent).rejects.toSatisfy((error) => classifyError(error).kind === "unavailable");
    expect(await pool.query(readCounter, [2])).toEqual([{ id: 2, n: 0 }]);
  });

  it("replaces all connections that say nothing when a small question goes unanswered, and no others", async () => {
    const { cable, connection } = await throughCable();
    const pool = open({ connection, max: 3 });
    await Promise.all([1, 2, 3].map(() => pool.knex.raw("SELECT pg_sleep(0.05)")));
    cable.forget();
    const hanging = pool.knex.raw("SELECT 1").then(
      () => "answered",
      (error: unknown) => classifyError(error).kind,
    );
    await expect(pool.query(smallQuestion)).rejects.toThrow("Query read timeout");
    expect(await hanging).toBe("unavailable");
    expect(await pool.query(smallQuestion)).toEqual([{ one: 1 }]);

    // The server is slow with one statement, and well otherwise: that connection has said nothing either, but nobody asks for its end.
    const slow = pool.knex.raw("SELECT pg_sleep(0.5)");
    expect(await pool.query(smallQuestion)).toEqual([{ one: 1 }]);
    await slow;
    await cable.close();
  });

  it("gives up within 5 s on a server that says nothing on any way, whatever it waits for, and does nothing of it later", async () => {
    const { cable, connection } = await throughCable();
    const pool = open({ connection, max: 3 });
    await pool.query(readCounter, [1]);
    // One in the midst of a transaction, one that begins, one that finds no connection any more.
    let inside: (() => void) | undefined;
    const isInside = new Promise<void>((resolve) => (inside = resolve));
    const begun = pool.transaction(async (tx) => {
      await tx.query(addToCounter, [1, 1]);
      inside?.();
      await new Promise<void>((resolve) => void setTimeout(resolve, 300));
      await tx.query(addToCounter, [1, 1]);
    });
    await isInside;
    cable.pull();
    const startedMs = performance.now();
    const works = [
      begun,
      pool.query(readCounter, [1]),
      pool.execute(addToCounter, [1, 1]),
      pool.transaction((tx) => tx.query(addToCounter, [1, 1])),
      pool.ping(),
    ];
    const kinds = works.map((work) =>
      work.then(
        () => "answered",
        (error: unknown) => classifyError(error).kind,
      ),
    );
    expect(await Promise.all(kinds)).toEqual(works.map(() => "unavailable"));
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(4_000);
    expect(tookMs).toBeLessThan(8_000);
    expect(await open().query(readCounter, [1])).toEqual([{ id: 1, n: 0 }]);
    await cable.close();
  });

  it("gives up at once while it is known that the server says nothing, and no longer", async () => {
    const { cable, connection } = await throughCable();
    const pool = open({ connection, max: 1 });
    cable.pull();
    await expect(pool.query(readCounter, [1])).rejects.toThrow(/the database has not answered for .* s or more/);
    const startedMs = performance.now();
    for (let n = 0; n < 3; n += 1) await expect(pool.query(readCounter, [1])).rejects.toThrow("has not answered");
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    await cable.close();
    const said = (): Promise<string> => pool.query(readCounter, [1]).then(String, String);
    await waitFor(async () => (await said()).includes("ECONNREFUSED"));
  });

  it("lets a statement take its time on a server that answers others, in a pool that has no other connection", async () => {
    const pool = open({ max: 1 });
    const [slept] = await Promise.all([pool.query(sleepFor, [6]), pool.query(readCounter, [1])]);
    expect(slept).toHaveLength(1);
  });

  it("believes an idle connection that answers, when new ones get no answer", async () => {
    const pool = open({ max: 2 });
    // Both know what they will be asked: only a new session looks into the catalogue.
    await Promise.all([pool.query(sleepFor, [0.1]), pool.query(sleepFor, [0.1])]);
    await Promise.all([1, 2].map(() => pool.knex.raw("SELECT 1")));
    const blocker = new pg.Client(counters.test.connectionString);
    await blocker.connect();
    await blocker.query("BEGIN; LOCK TABLE pg_catalog.pg_type IN ACCESS EXCLUSIVE MODE");
    try {
      expect(await pool.query(sleepFor, [6])).toHaveLength(1);
    } finally {
      await blocker.end();
    }
  });
});
