import { getEventListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import pg from "pg";
import { silentLogger, systemPorts, type Timers } from "@headroom/runtime";
import {
  captureLogger,
  createTestDatabase,
  type PrivatePostgres,
  startPrivatePostgres,
  type TestDatabase,
  waitFor,
} from "@headroom/testing";
import { openListenConnection } from "./listen-connection.ts";
import { createDatabase, createListener, createNotifier, type Listener, readNotification } from "./index.ts";

let test: TestDatabase;
const stops: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  test = await createTestDatabase({ label: "listen" });
});
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});
afterAll(() => test.drop());

function listenTo(
  connection: { connectionString: string },
  onReconnect?: () => void,
  testIntervalMs = 30_000,
): Listener {
  const listener = createListener({
    connection,
    logger: silentLogger,
    ports: systemPorts,
    testIntervalMs,
    ...(onReconnect !== undefined && { onReconnect }),
  });
  stops.push(() => listener.stop());
  return listener;
}

/** The newest one: an older may not have ended yet. */
async function listeningBackend(server: PrivatePostgres): Promise<number> {
  const client = new pg.Client({ connectionString: server.connectionString });
  await client.connect();
  try {
    const found = await client.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'headroom-listen' ORDER BY backend_start DESC LIMIT 1",
    );
    return found.rows[0]?.pid ?? 0;
  } finally {
    await client.end();
  }
}

const atOnce: Timers = {
  after(_delayMs, fn) {
    queueMicrotask(fn);
    return { cancel: () => undefined };
  },
};

function heapAfterCollection(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

describe("listener", () => {
  it("hears its channels and no others, until it unsubscribes", async () => {
    const listener = listenTo(test);
    const heard: string[] = [];
    const end = listener.subscribe('Odd "name"', (payload) => heard.push(`before ${payload}`));
    await listener.start();
    expect(listener.connected()).toBe(true);
    listener.subscribe("later", (payload) => heard.push(`later ${payload}`));
    await waitFor(async () => {
      await test.sql("SELECT pg_notify('later', '1')");
      return heard.length > 0;
    });
    heard.length = 0;
    await test.sql("SELECT pg_notify($1, '2'), pg_notify('unheard', '3')", ['Odd "name"']);
    await waitFor(() => heard.includes("before 2"));
    end();
    end();
    await test.sql("SELECT pg_notify($1, '4'), pg_notify('later', '5')", ['Odd "name"']);
    await waitFor(() => heard.includes("later 5"));
    expect(heard.filter((entry) => entry.startsWith("before"))).toEqual(["before 2"]);
  });

  it("goes on when a handler throws, and starts and stops as often as one likes", async () => {
    const logger = captureLogger();
    const listener = createListener({ connection: test, logger, ports: systemPorts });
    stops.push(() => listener.stop());
    let heard = 0;
    listener.subscribe("bad", () => {
      throw new Error("handler bug");
    });
    listener.subscribe("bad", () => (heard += 1));
    await listener.stop();
    await Promise.all([listener.start(), listener.start()]);
    await test.sql("SELECT pg_notify('bad', '')");
    await waitFor(() => heard === 1);
    expect(logger.has("handler failed", "error")).toBe(true);
    await Promise.all([listener.stop(), listener.stop()]);
    expect(listener.connected()).toBe(false);
    await listener.start();
    await test.sql("SELECT pg_notify('bad', '')");
    await waitFor(() => heard === 2);
  });

  it("reconnects when its session is ended, and says so", async () => {
    let reconnects = 0;
    const listener = listenTo(test, () => (reconnects += 1));
    const heard: string[] = [];
    listener.subscribe("again", (payload) => heard.push(payload));
    await listener.start();
    expect(reconnects).toBe(0);
    await test.terminateSessions();
    await waitFor(() => reconnects === 1);
    await test.sql("SELECT pg_notify('again', 'back')");
    await waitFor(() => heard.includes("back"));
  });

  it("notices by its own test that a connection which looks alive is deaf", async () => {
    const server: PrivatePostgres = await startPrivatePostgres();
    stops.push(() => server.remove());
    let reconnects = 0;
    const listener = listenTo(server, () => (reconnects += 1), 50);
    await listener.start();
    // A stopped process keeps its socket open and answers nothing, as a peer behind a dead network does.
    const pid = await listeningBackend(server);
    process.kill(pid, "SIGSTOP");
    stops.push(() => Promise.resolve(process.kill(pid, "SIGCONT")));
    await waitFor(() => reconnects === 1);
    expect(await listeningBackend(server)).not.toBe(pid);
  });

  it("starts without a database, and tells when it hears after all", async () => {
    const server: PrivatePostgres = await startPrivatePostgres();
    stops.push(() => server.remove());
    await server.stop();
    let reconnects = 0;
    const listener = listenTo(server, () => (reconnects += 1));
    await listener.start();
    expect(listener.connected()).toBe(false);
    await server.start();
    await waitFor(() => reconnects === 1);
    expect(listener.connected()).toBe(true);
  });

  it("survives a restart and a crash of the server", async () => {
    const server: PrivatePostgres = await startPrivatePostgres();
    stops.push(() => server.remove());
    let reconnects = 0;
    const listener = listenTo(server, () => (reconnects += 1));
    const heard: string[] = [];
    listener.subscribe("work", (payload) => heard.push(payload));
    await listener.start();
    const db = createDatabase({
      connection: server,
      schema: "public",
      applicationName: "listen-test",
      logger: silentLogger,
      ports: systemPorts,
    });
    stops.push(() => db.close());
    const notifier = createNotifier({ database: db, logger: silentLogger, ports: systemPorts });

    await server.stop();
    await server.start();
    await waitFor(() => reconnects === 1);
    notifier.notify("work", "after-restart");
    await waitFor(() => heard.includes("after-restart"));

    server.kill9();
    await waitFor(() => reconnects === 2);
    await waitFor(() => {
      notifier.notify("work", "after-crash");
      return heard.includes("after-crash");
    });
  });
});

describe("a listening connection", () => {
  it("keeps nothing of the waits that are over, however long it lives", async () => {
    const connection = await openListenConnection({
      connection: test,
      applicationName: "listen-waits",
      ports: { ...systemPorts, timers: atOnce },
      probeTimeoutMs: 5_000,
      onNotification: () => undefined,
    });
    stops.push(() => connection.close());
    const { signal } = new AbortController();
    const wait = async (times: number): Promise<void> => {
      for (let done = 0; done < times; done += 1) await connection.untilClosed(0, signal);
    };
    await wait(1_000);
    const before = heapAfterCollection();
    await wait(20_000);
    // A few bytes each would be kept by what is raced with again and again; 20,000 waits are a week.
    expect((heapAfterCollection() - before) / 20_000).toBeLessThan(50);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("notifier to listener", () => {
  it("brings every item of a burst, in far fewer notifications", async () => {
    const listener = listenTo(test);
    const payloads: string[] = [];
    listener.subscribe("burst", (payload) => payloads.push(payload));
    await listener.start();
    const db = createDatabase({
      connection: test,
      schema: "public",
      applicationName: "listen-test",
      logger: silentLogger,
      ports: systemPorts,
    });
    stops.push(() => db.close());
    const notifier = createNotifier({ database: db, logger: silentLogger, ports: systemPorts });
    const sent = Array.from({ length: 100 }, (_, index) => `item-${index}`);
    for (const item of sent) notifier.notify("burst", item);
    const items = (): string[] =>
      payloads.flatMap((payload) => {
        const read = readNotification(payload);
        return read.kind === "items" ? read.items : [];
      });
    await waitFor(() => items().length >= sent.length);
    expect(items().toSorted()).toEqual(sent.toSorted());
    expect(payloads.length).toBeLessThan(5);
  });
});
