import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { manualPorts, settle } from "./manual-ports.test-helper.ts";
import { createDeferred, RunLoop, type RunLoopOptions } from "./index.ts";

function recordingLoop(over: Partial<RunLoopOptions> = {}, random?: number) {
  const ports = manualPorts(random);
  const startedAtMs = ports.clock.now();
  const runs: string[] = [];
  const loop = new RunLoop({
    name: "test loop",
    ports,
    intervalMs: 10_000,
    run: (_signal, cause) => void runs.push(`${ports.clock.now() - startedAtMs} ${cause}`),
    ...over,
  });
  return { ports, loop, runs, at: () => ports.clock.now() - startedAtMs };
}

describe("RunLoop", () => {
  it("R-PAUSE-7: runs at the start and once per interval", async () => {
    const { ports, loop, runs } = recordingLoop();
    await loop.start();
    await ports.advance(30_000);
    await loop.stop();
    await ports.advance(60_000);
    expect(runs).toEqual(["0 start", "10000 interval", "20000 interval", "30000 interval"]);
    expect(ports.pending()).toEqual([]);
  });

  it("without runAtStart the first run comes after one interval", async () => {
    const { ports, loop, runs } = recordingLoop({ runAtStart: false });
    await loop.start();
    await ports.advance(10_000);
    await loop.stop();
    expect(runs).toEqual(["10000 interval"]);
  });

  it("a wake runs at once, and the next interval counts from there", async () => {
    const { ports, loop, runs } = recordingLoop();
    await loop.start();
    await ports.advance(4_000);
    loop.wake("room appeared");
    await ports.advance(10_000);
    await loop.stop();
    expect(runs).toEqual(["0 start", "4000 room appeared", "14000 interval"]);
  });

  it("wakes during a run are one further run, never a second at once", async () => {
    const gate = createDeferred();
    const causes: string[] = [];
    const { ports, loop } = recordingLoop({
      run: async (_signal, cause) => {
        causes.push(cause);
        if (causes.length === 1) await gate.promise;
      },
    });
    await loop.start();
    await ports.advance(100);
    loop.wake("first");
    loop.wake("second");
    loop.wake("third");
    await ports.advance(100);
    expect(causes).toEqual(["start"]);
    gate.resolve();
    await ports.advance(0);
    expect(causes).toEqual(["start", "first"]);
    await loop.stop();
  });

  it("R-PAUSE-7: waits 30 s after an error, wakes do not shorten that, and no error ends it", async () => {
    const errors: string[] = [];
    let failing = true;
    const seen: string[] = [];
    const { ports, loop, at } = recordingLoop({
      run: (_signal, cause) => {
        seen.push(`${at()} ${cause}`);
        if (failing) throw new Error("database away");
      },
      onError: (error, cause) => {
        errors.push(`${String(error)} (${cause})`);
        throw new Error("the reporter fails too");
      },
    });
    await loop.start();
    await ports.advance(29_999);
    loop.wake("event");
    await ports.advance(0);
    expect(seen).toEqual(["0 start"]);
    await ports.advance(1);
    failing = false;
    await ports.advance(30_000);
    await ports.advance(10_000);
    expect(seen).toEqual(["0 start", "30000 event", "60000 retry", "70000 interval"]);
    expect(errors).toEqual(["Error: database away (start)", "Error: database away (event)"]);
    await loop.stop();
  });

  it("R-PAUSE-7: stop waits for the run in progress, whose signal aborts; being cut short is no error", async () => {
    const errors: unknown[] = [];
    const { ports, loop } = recordingLoop({
      run: (signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
      onError: (error) => errors.push(error),
    });
    await loop.start();
    await settle();
    await Promise.all([loop.stop(), loop.stop()]);
    await loop.stop();
    expect(errors).toEqual([]);
    expect(ports.pending()).toEqual([]);

    const gate = createDeferred();
    const slow = recordingLoop({ run: () => gate.promise });
    await slow.loop.start();
    let stopped = false;
    const stop = slow.loop.stop().then(() => void (stopped = true));
    await settle();
    expect(stopped).toBe(false);
    gate.resolve();
    await stop;
  });

  it("R-PAUSE-7: can be stopped and started again; a wake while stopped is not kept", async () => {
    const { ports, loop, runs } = recordingLoop();
    loop.wake("too early");
    await loop.start();
    await settle();
    await loop.stop();
    loop.wake("too late");
    await loop.start();
    await ports.advance(1);
    await loop.stop();
    expect(runs).toEqual(["0 start", "0 start"]);
  });

  it("a run longer than the interval skips beats", async () => {
    const starts: number[] = [];
    const { ports, loop, at } = recordingLoop({
      run: async () => {
        starts.push(at());
        const done = createDeferred();
        ports.timers.after(25_000, () => done.resolve());
        await done.promise;
      },
    });
    await loop.start();
    await ports.advance(60_000);
    expect(starts).toEqual([0, 30_000, 60_000]);
    const stopped = loop.stop();
    await ports.advance(25_000);
    await stopped;
  });

  it("jitter spreads the waits", async () => {
    const { ports, loop } = recordingLoop({ jitterFraction: 0.1 }, 1);
    await loop.start();
    await settle();
    expect(ports.pending()).toEqual([11_000]);
    await loop.stop();
  });

  it("an interval that is not above 0 is refused", () => {
    expect(() => recordingLoop({ intervalMs: 0 })).toThrow(RangeError);
    expect(() => recordingLoop({ intervalMs: Number.NaN })).toThrow(RangeError);
  });

  it("stress: no order of wakes, errors, time, starts and stops overlaps runs or loses a wake", async () => {
    const step = fc.oneof(fc.constantFrom("wake", "start", "stop", "fail", "slow"), fc.nat(40_000));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
        let running = 0;
        let lastRun = 0;
        let next: "ok" | "fail" | "slow" = "ok";
        let sequence = 0;
        let lastWake = 0;
        const { ports, loop } = recordingLoop({
          run: async () => {
            expect(++running).toBe(1);
            const kind = next;
            next = "ok";
            lastRun = ++sequence;
            if (kind === "slow") {
              const done = createDeferred();
              ports.timers.after(15_000, () => done.resolve());
              await done.promise;
            }
            running -= 1;
            if (kind === "fail") throw new Error("told to fail");
          },
        });
        const calls: Promise<unknown>[] = [];
        for (const each of steps) {
          if (typeof each === "number") await ports.advance(each);
          else if (each === "wake") {
            loop.wake("event");
            lastWake = ++sequence;
          } else if (each === "start") calls.push(loop.start().catch(() => undefined));
          else if (each === "stop") calls.push(loop.stop());
          else next = each;
        }
        await ports.advance(60_000);
        if (loop.state() === "running") {
          loop.wake("last");
          lastWake = ++sequence;
          await ports.advance(60_000);
          expect(lastRun).toBeGreaterThan(lastWake);
        }
        const stopped = loop.stop();
        await ports.advance(60_000);
        await stopped;
        await Promise.all(calls);
        expect(running).toBe(0);
        expect(ports.pending()).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
