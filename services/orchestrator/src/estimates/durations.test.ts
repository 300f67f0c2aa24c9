import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { createDurations } from "./durations.ts";

function setUp() {
  const ports = manualPorts();
  const logger = captureLogger();
  const database = { fault: null as Error | null, learned: [] as (readonly string[])[], reads: 0 };
  const answer = <T>(value: T): Promise<T> =>
    database.fault === null ? Promise.resolve(value) : Promise.reject(database.fault);
  const durations = createDurations({
    ports,
    logger,
    store: {
      async learnDurations(attemptIds) {
        await answer(null);
        database.learned.push(attemptIds);
      },
      learnedDurations() {
        database.reads += 1;
        return answer([{ taskName: "train", recentMs: [60_000, 60_000, 60_000] }]);
      },
    },
  });
  return { ports, logger, database, durations };
}

const refused = Object.assign(new Error("out of range"), { code: "22003" });
const otherSchema = Object.assign(new Error("no such column"), { code: "42703" });
const away = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

it("what cannot be read is not known, or known from before; nobody is kept waiting for a help", async () => {
  const { ports, logger, database, durations } = setUp();
  database.fault = refused;
  expect((await durations.expect("plan"))("train")).toBeNull();
  database.fault = null;
  expect((await durations.expect("plan"))("train")).toBe(60_000);
  database.fault = away;
  await ports.advance(60_000);
  expect((await durations.expect("plan"))("train")).toBe(60_000);
  expect(logger.has("cannot be read now", "warn")).toBe(true);
});

it.each([away, otherSchema])(
  "what the database refuses is let go of, and what it cannot take now is kept: %s",
  async (fault) => {
    const { ports, database, durations } = setUp();
    await durations.start();
    database.fault = refused;
    durations.note("odd");
    await ports.advance(5_000);
    database.fault = fault;
    durations.note("kept");
    await ports.advance(5_000);
    database.fault = null;
    await ports.advance(20_000);
    expect(database.learned).toEqual([["kept"]]);
    await durations.stop("test");
  },
);
