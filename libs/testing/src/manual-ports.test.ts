import { describe, expect, it } from "vitest";
import { sleep } from "@headroom/runtime";
import { manualPorts } from "./manual-ports.ts";
import { SeededRandom } from "./seeded-random.ts";

describe("manual ports", () => {
  it("advance runs timers at their times and in order, those set meanwhile too", async () => {
    const ports = manualPorts();
    const startMs = ports.clock.now();
    const seen: string[] = [];
    const note = (what: string): void => void seen.push(`${what}@${ports.clock.now() - startMs}`);
    ports.timers.after(30, () => note("late"));
    ports.timers.after(10, () => {
      note("early");
      ports.timers.after(5, () => note("nested"));
    });
    ports.timers.after(10, () => note("second early"));
    ports.timers.after(31, () => note("too late"));
    await ports.advance(30);
    expect(seen).toEqual(["early@10", "second early@10", "nested@15", "late@30"]);
    expect(ports.timers.pendingDelays()).toEqual([1]);
  });

  it("advance lets promises go on between timers", async () => {
    const ports = manualPorts();
    const steps: number[] = [];
    const work = (async () => {
      for (let step = 0; step < 5; step += 1) {
        await sleep(ports.timers, 100);
        for (let turn = 0; turn < 200; turn += 1) await Promise.resolve();
        steps.push(ports.clock.monotonic());
      }
    })();
    await ports.advance(500);
    await work;
    expect(steps).toEqual([100, 200, 300, 400, 500]);
  });

  it("a cancelled timer does not run, and the wall clock can be set without moving timers", async () => {
    const ports = manualPorts();
    let ran = 0;
    ports.timers.after(10, () => (ran += 1)).cancel();
    ports.timers.after(10, () => (ran += 10));
    ports.clock.setWall(0);
    await ports.advance(9);
    expect(ran).toBe(0);
    await ports.advance(1);
    expect(ran).toBe(10);
    expect(ports.clock.now()).toBe(10);
  });
});

describe("seeded random", () => {
  it("repeats by its seed, spreads evenly, and makes valid UUIDs", () => {
    const one = new SeededRandom(7);
    const other = new SeededRandom(7);
    const values = Array.from({ length: 10_000 }, () => one.next());
    expect(values).toEqual(Array.from({ length: 10_000 }, () => other.next()));
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.02);
    expect(one.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new SeededRandom(8).next()).not.toBe(new SeededRandom(7).next());
  });
});
