import { captureLogger, ManualClock } from "@headroom/testing";
import { expect, it } from "vitest";
import { DatabaseWatch } from "./database-watch.ts";

function scene() {
  const clock = new ManualClock();
  const logger = captureLogger();
  const told: boolean[] = [];
  const watch: DatabaseWatch = new DatabaseWatch({ clock, logger, onChange: () => told.push(watch.answers) });
  const after = (ms: number, what: "answered" | "failed"): boolean => {
    clock.pass(ms);
    watch[what]();
    return watch.answers;
  };
  return { watch, logger, told, after };
}

it("does not answer until it has, however often it was asked", () => {
  const { watch, logger, told, after } = scene();
  expect([watch.answers, after(0, "failed"), after(60_000, "failed"), after(0, "answered")]).toEqual([
    false,
    false,
    false,
    true,
  ]);
  expect(told).toEqual([true]);
  expect(logger.records).toEqual([]);
});

it("is lost when looks have failed for 5 s, and back with the first answer; each is told once", () => {
  const { told, logger, after } = scene();
  after(0, "answered");
  expect([1_000, 1_000, 1_000, 1_000, 999].map((ms) => after(ms, "failed"))).not.toContain(false);
  expect(after(1, "failed")).toBe(false);
  expect(after(1_000, "failed")).toBe(false);
  expect(after(1_000, "answered")).toBe(true);
  expect(after(0, "answered")).toBe(true);
  expect(told).toEqual([true, false, true]);
  expect(logger.records.map(({ level }) => level)).toEqual(["warn", "info"]);
});

it("one failure alone says nothing, however long ago the last answer was: the process may have stood still", () => {
  const { told, after } = scene();
  after(0, "answered");
  for (let round = 0; round < 3; round += 1) {
    expect(after(60_000, "failed")).toBe(true);
    after(1_000, "answered");
  }
  after(60_000, "failed");
  expect(after(1_000, "failed")).toBe(false);
  expect(told).toEqual([true, false]);
});

it("any statement that succeeds meanwhile says that it answers", () => {
  const { told, after } = scene();
  after(0, "answered");
  for (let second = 0; second < 20; second += 1) {
    expect(after(500, "failed")).toBe(true);
    if (second % 3 === 2) after(500, "answered");
    else expect(after(500, "failed")).toBe(true);
  }
  expect(told).toEqual([true]);
});
