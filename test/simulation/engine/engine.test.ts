import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Engine } from "./engine.ts";
import { EventQueue } from "./event-queue.ts";

describe("the queue of events", () => {
  it("gives the earliest, and of those at one moment the first made", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 200 }), fc.array(fc.boolean()), (times, pops) => {
        const queue = new EventQueue<{ readonly atMs: number; readonly order: number }>();
        const waiting: { readonly atMs: number; readonly order: number }[] = [];
        const popOne = (): void => {
          waiting.sort((one, other) => one.atMs - other.atMs || one.order - other.order);
          expect(queue.pop()).toEqual(waiting.shift());
        };
        for (const [order, atMs] of times.entries()) {
          queue.push({ atMs, order });
          waiting.push({ atMs, order });
          if (pops[order] === true) popOne();
        }
        while (waiting.length > 0) popOne();
        expect(queue.size).toBe(0);
      }),
    );
  });
});

describe("the engine", () => {
  it("handles one event to its end, promises and all, before the next", async () => {
    const engine = new Engine(1);
    const done: string[] = [];
    engine.schedule(1, null, "first", () => {
      void Promise.resolve()
        .then(() => Promise.resolve())
        .then(() => done.push("what follows from the first"));
    });
    engine.schedule(1, null, "second", () => void done.push("second"));
    await engine.run(10);
    expect(done).toEqual(["what follows from the first", "second"]);
    expect(engine.nowMs).toBe(10);
  });

  it("virtual time stands still while an event waits for something real", async () => {
    const engine = new Engine(1);
    const seen: number[] = [];
    engine.schedule(5, null, "asks", async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      seen.push(engine.nowMs);
    });
    engine.schedule(5.001, null, "next", () => void seen.push(engine.nowMs));
    await engine.run(10);
    expect(seen).toEqual([5, 5.001]);
  });

  it("what comes while a process stands still comes right after, in order; its clock goes on", async () => {
    const engine = new Engine(1);
    const process = engine.process("one");
    const seen: string[] = [];
    const began = process.ports.clock.monotonic();
    for (const at of [1, 2, 3]) {
      process.ports.timers.after(at, () => seen.push(`${at} at ${process.ports.clock.monotonic() - began}`));
    }
    const called = process.ports.timers.after(2, () => seen.push("never"));
    engine.schedule(0.5, null, "stops", () => process.pause());
    engine.schedule(2.5, null, "is called off", () => called.cancel());
    engine.schedule(50, null, "goes on", () => process.resume());
    await engine.run(100);
    expect(seen).toEqual(["1 at 50", "2 at 50", "3 at 50"]);
  });

  it("nothing happens within a process that is dead", async () => {
    const engine = new Engine(1);
    const process = engine.process("one");
    let heard = 0;
    let told = 0;
    process.onDeath(() => (told += 1));
    process.ports.timers.after(2, () => (heard += 1));
    engine.schedule(1, null, "dies", () => {
      process.kill();
      process.kill();
    });
    await engine.run(10);
    expect({ heard, told }).toEqual({ heard: 0, told: 1 });
  });

  it("a wall clock that is wrong or set is so for its process alone", async () => {
    const engine = new Engine(1);
    const wrong = engine.process("wrong", -3_600_000);
    const right = engine.process("right");
    expect(right.ports.clock.now() - wrong.ports.clock.now()).toBe(3_600_000);
    wrong.jumpClock(7_200_000);
    expect(wrong.ports.clock.now() - right.ports.clock.now()).toBe(3_600_000);
    expect(wrong.ports.clock.monotonic()).toBe(right.ports.clock.monotonic());
  });

  it("a fault of the world ends the run with it", async () => {
    const engine = new Engine(1);
    engine.schedule(1, null, "breaks", () => engine.fail(new Error("broken")));
    await expect(engine.run(10)).rejects.toThrow("broken");
  });
});
