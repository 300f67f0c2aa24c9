import { nextTurn } from "@headroom/runtime";
import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { createRetention } from "./retention.ts";

const minuteMs = 60_000;

/** A plan that each run finds locked; answers what was told of it after some runs. */
async function told(isKept: boolean): Promise<readonly string[]> {
  const ports = manualPorts();
  const logger = captureLogger();
  const retention = createRetention({
    store: {
      async trimHistory(_olderThan, _limit, exceptPlanIds) {
        if (exceptPlanIds.length > 0) return { isTrimmed: false, leftOut: [] };
        return { isTrimmed: false, leftOut: [{ planId: "large", error: null }] };
      },
      isPlanKeptLocked: () => Promise.resolve(isKept),
    },
    keepMs: 1,
    ports,
    logger,
  });
  await retention.start();
  for (let minute = 0; minute < 5; minute += 1) {
    await ports.advance(2 * minuteMs);
    await nextTurn();
  }
  await retention.stop("test");
  return logger.records.filter(({ level }) => level === "warn").map(({ message }) => message);
}

it("a plan that another replica deletes for longer than a run is not told of as locked by somebody", async () => {
  expect(await told(false)).toEqual([]);
});

it("one that somebody keeps locked is, once", async () => {
  expect(await told(true)).toEqual([expect.stringContaining("somebody keeps it locked")]);
});

it("nothing is deleted that is young by this machine's clock", async () => {
  const ports = manualPorts();
  const asked: number[] = [];
  const retention = createRetention({
    store: {
      trimHistory({ nowAtMostMs }) {
        asked.push(nowAtMostMs - ports.clock.now());
        return Promise.resolve({ isTrimmed: false, leftOut: [] });
      },
      isPlanKeptLocked: () => Promise.resolve(false),
    },
    keepMs: 86_400_000,
    ports,
    logger: captureLogger(),
  });
  await retention.start();
  await ports.advance(2 * minuteMs);
  await retention.stop("test");
  expect(new Set(asked)).toEqual(new Set([0]));
});
