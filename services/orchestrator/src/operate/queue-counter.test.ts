import { ManualClock } from "@headroom/testing";
import { expect, it } from "vitest";
import { createQueueCounter } from "./queue-counter.ts";

const empty = { waiting: 0, reasons: [], oldestPausedAtMs: null, oldestTurnMs: null, runningAttempts: 0 };

function counterOf(tookMs: number, waiting: number) {
  const clock = new ManualClock();
  let counts = 0;
  const store = {
    queueSummary() {
      counts += 1;
      clock.pass(tookMs);
      return Promise.resolve({ ...empty, waiting: waiting + counts });
    },
  };
  return { clock, counter: createQueueCounter(store, clock), counts: () => counts };
}

it("a short queue is counted for every question, however slow the machine is", async () => {
  const { counter, counts } = counterOf(300, 0);
  expect((await counter.summary()).waiting).toBe(1);
  expect((await counter.summary()).waiting).toBe(2);
  expect(counts()).toBe(2);
});

it("a count of a long queue that took 50 ms is good for a second", async () => {
  const { clock, counter, counts } = counterOf(50, 100_000);
  await counter.summary();
  clock.pass(999);
  expect((await counter.summary()).waiting).toBe(100_001);
  clock.pass(1);
  expect((await counter.summary()).waiting).toBe(100_002);
  expect(counts()).toBe(2);
});

it("questions at one time share one count", async () => {
  const { counter, counts } = counterOf(1, 0);
  await Promise.all([counter.summary(), counter.summary(), counter.summary()]);
  expect(counts()).toBe(1);
});
