import { describe, expect, it } from "vitest";
import { captureLogger, manualPorts } from "@headroom/testing";
import { createNotifier, type Notifier, type Queryable, readNotification, type Statement } from "./index.ts";

interface Sent {
  readonly atMs: number;
  readonly pending: Readonly<Record<string, string>>;
}

function setUp(query?: () => Promise<void>): {
  ports: ReturnType<typeof manualPorts>;
  sent: Sent[];
  notifier: Notifier;
  logger: ReturnType<typeof captureLogger>;
} {
  const ports = manualPorts();
  const logger = captureLogger();
  const sent: Sent[] = [];
  const database: Queryable = {
    async query<Row extends object>(_: Statement<Row>, values: readonly unknown[] = []): Promise<Row[]> {
      const [channels, payloads] = values as [string[], string[]];
      const pending = Object.fromEntries(channels.map((channel, index) => [channel, payloads[index] ?? ""]));
      sent.push({ atMs: ports.clock.monotonic(), pending });
      await query?.();
      return [];
    },
    execute: () => Promise.resolve(0),
  };
  return { ports, sent, logger, notifier: createNotifier({ database, logger, ports }) };
}

describe("notifier", () => {
  it("sends the first at once and the rest of the window together", async () => {
    const { ports, sent, notifier } = setUp();
    notifier.notify("a", "1");
    await ports.advance(0);
    notifier.notify("a", "2");
    notifier.notify("a", "3");
    notifier.notify("a", "2");
    notifier.notify("b");
    await ports.advance(9);
    expect(sent).toEqual([{ atMs: 0, pending: { a: "1" } }]);
    await ports.advance(1);
    expect(sent[1]).toEqual({ atMs: 10, pending: { a: "2,3", b: "*" } });
    await ports.advance(1_000);
    expect(sent).toHaveLength(2);
  });

  it("says 'everything' rather than send a payload that is too large or cannot be split again", async () => {
    const { ports, sent, notifier } = setUp();
    for (let item = 0; item < 1_000; item += 1) notifier.notify("many", `item-number-${item}`);
    notifier.notify("comma", "a,b");
    notifier.notify("long", "x".repeat(79));
    notifier.notify("empty", "");
    await ports.advance(0);
    expect(sent).toEqual([{ atMs: 0, pending: { many: "*", comma: "*", long: "*", empty: "*" } }]);
  });

  it("has one send under way at most, and none is lost behind a slow one", async () => {
    let finish: (() => void) | undefined;
    const { ports, sent, notifier } = setUp(() => new Promise((resolve) => (finish = resolve)));
    notifier.notify("a", "1");
    await ports.advance(0);
    notifier.notify("a", "2");
    await ports.advance(1_000);
    expect(sent).toHaveLength(1);
    finish?.();
    await ports.advance(10);
    expect(sent.map((entry) => entry.pending["a"])).toEqual(["1", "2"]);
  });

  it("leaves failed notifications to the poll and goes on; it says once that they fail, and once that they do not", async () => {
    let failures = 3;
    const { ports, sent, notifier, logger } = setUp(() =>
      failures-- > 0 ? Promise.reject(new Error("away")) : Promise.resolve(),
    );
    for (let item = 1; item <= 5; item += 1) {
      notifier.notify("a", String(item));
      await ports.advance(10);
    }
    expect(sent).toHaveLength(5);
    const told = logger.records.filter(({ level }) => level !== "debug").map(({ level, message }) => [level, message]);
    expect(told).toEqual([
      ["warn", "notifications are not sent now; polling covers it"],
      ["info", "notifications are sent again"],
    ]);
  });

  it("is bounded in channels", async () => {
    const { ports, sent, notifier, logger } = setUp();
    for (let channel = 0; channel < 1_001; channel += 1) notifier.notify(`c${channel}`);
    await ports.advance(0);
    expect(Object.keys(sent[0]?.pending ?? {})).toHaveLength(1_000);
    expect(logger.has("left to the poll", "warn")).toBe(true);
  });

  it("stop sends what waits, and takes no more until it is started again", async () => {
    const { ports, sent, notifier } = setUp();
    await notifier.stop();
    await notifier.start();
    notifier.notify("a", "1");
    await Promise.all([notifier.stop(), notifier.stop()]);
    expect(sent).toHaveLength(1);
    notifier.notify("a", "2");
    await ports.advance(1_000);
    expect(sent).toHaveLength(1);
    expect(ports.timers.pendingDelays()).toEqual([]);
  });

  it("is read back as it was written", () => {
    expect(readNotification("*")).toEqual({ kind: "everything" });
    expect(readNotification("")).toEqual({ kind: "everything" });
    expect(readNotification("a,b")).toEqual({ kind: "items", items: ["a", "b"] });
  });
});
