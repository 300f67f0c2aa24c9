import { SeededRandom } from "@headroom/testing";
import { expect, it } from "vitest";
import { LaterEachTime } from "./later-each-time.ts";

it("R-PAUSE-6: what is refused by itself is spread around its time, is never later than some 10 minutes, and begins anew when it is forgotten", () => {
  const later = new LaterEachTime(new SeededRandom(7));
  const first = Array.from({ length: 50 }, (_, index) => later.next(`task-${index}`, false));
  expect(new Set(first.map(Math.round)).size).toBeGreaterThan(40);
  for (const ms of first) expect(Math.abs(ms - 30_000)).toBeLessThanOrEqual(6_000);
  for (let time = 0; time < 40; time += 1) expect(later.next("task-0", false)).toBeLessThanOrEqual(720_000);
  expect(later.next("task-0", false)).toBeGreaterThan(470_000);
  later.forget("task-0");
  expect(later.next("task-0", false)).toBeLessThan(37_000);
});

it("remembers 10,000 tasks, those that were refused last", () => {
  const later = new LaterEachTime({ next: () => 0.5, uuid: () => "" });
  for (let task = 0; task < 10_001; task += 1) later.next(String(task), true);
  expect(later.next("0", true)).toBe(2_000);
  expect(later.next("10000", true)).toBe(4_000);
});
