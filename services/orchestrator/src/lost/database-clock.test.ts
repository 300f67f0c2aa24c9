import { captureLogger, manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { DatabaseClock } from "./database-clock.ts";

function watched() {
  const ports = manualPorts();
  const { clock } = ports;
  const advance = (ms: number): Promise<void> => ports.advance(ms);
  const logger = captureLogger();
  const database = new DatabaseClock(clock, logger);
  /** A question that takes so long is answered with this time. */
  async function hear(saidMs: number, tookMs = 0): Promise<boolean> {
    const askedAtMs = clock.monotonic();
    await advance(tookMs);
    return database.heard(saidMs, askedAtMs);
  }
  return { hear, advance, database, told: () => logger.records.map(({ fields }) => fields) };
}

describe("the database's clock", () => {
  it("that goes as ours says nothing, however long questions take and nothing is heard", async () => {
    const { hear, advance, database, told } = watched();
    let trueMs = 1_000_000;
    for (const [restMs, tookMs, saidAfterMs] of [
      [0, 0, 0],
      [1_000, 60_000, 0],
      [1_000, 60_000, 60_000],
      [600_000, 0, 0],
      [1_000, 30_000, 15_000],
    ] as const) {
      await advance(restMs);
      expect(await hear(trueMs + restMs + saidAfterMs, tookMs)).toBe(false);
      trueMs += restMs + tookMs;
    }
    expect([database.setAgoMs(), told()]).toEqual([null, []]);
  });

  it("that is set ahead is found by the next answer, once", async () => {
    const { hear, advance, database, told } = watched();
    await hear(5_000);
    await advance(1_000);
    expect(await hear(6_000 + 10_000)).toBe(true);
    expect(database.setAgoMs()).toBe(0);
    await advance(1_000);
    expect(await hear(17_000)).toBe(false);
    expect(database.setAgoMs()).toBe(1_000);
    expect(told()).toEqual([{ set_ahead_by_ms: 10_000 }]);
  });

  it("may be as far ahead as nobody minds, or as its answers were on their way", async () => {
    const { hear, advance } = watched();
    await hear(5_000);
    await advance(1_000);
    expect(await hear(6_000 + 9_999)).toBe(false);
    await hear(20_000, 8_000);
    expect(await hear(20_000 + 17_999)).toBe(false);
  });

  it("that is set again counts from the last time", async () => {
    const { hear, advance, database } = watched();
    await hear(0);
    await advance(1_000);
    await hear(100_000);
    await advance(1_000);
    expect(await hear(900_000)).toBe(true);
    expect(database.setAgoMs()).toBe(0);
  });

  it("that is set back is told of", async () => {
    const { hear, advance, database, told } = watched();
    await hear(500_000);
    await advance(1_000);
    expect(await hear(401_000)).toBe(false);
    expect([database.setAgoMs(), told()]).toEqual([null, [{ set_back_by_ms: 100_000 }]]);
  });
});
