import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runScript } from "./bundled-process.test-helper.ts";
import { manualPorts, settle } from "./manual-ports.test-helper.ts";
import { createDeferred, sleep, systemTimers, withTimeout } from "./index.ts";

describe("systemTimers", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("a delay over 24.8 days does not fire early, and fires once", () => {
    const fn = vi.fn<() => void>();
    const days = 86_400_000;
    systemTimers.after(60 * days, fn);
    vi.advanceTimersByTime(60 * days - 1);
    expect(fn).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fn).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(100 * days);
    expect(fn).toHaveBeenCalledTimes(1);
  });

  it("a cancelled timer never fires, in its second leg neither", () => {
    const fn = vi.fn<() => void>();
    const timer = systemTimers.after(5_000_000_000, fn);
    vi.advanceTimersByTime(3_000_000_000);
    timer.cancel();
    timer.cancel();
    vi.advanceTimersByTime(9_000_000_000);
    expect(fn).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("a negative delay is none; NaN is refused; Infinity never fires", () => {
    const fn = vi.fn<() => void>();
    systemTimers.after(-5, fn);
    vi.advanceTimersByTime(1);
    expect(fn).toHaveBeenCalledTimes(1);
    expect(() => systemTimers.after(Number.NaN, fn)).toThrow(RangeError);
    const never = systemTimers.after(Number.POSITIVE_INFINITY, fn);
    vi.advanceTimersByTime(86_400_000_000);
    expect(fn).toHaveBeenCalledTimes(1);
    never.cancel();
  });
});

it("keepAlive: false lets the process end", async () => {
  const script = await runScript(`
    import { systemTimers } from "./index.ts";
    systemTimers.after(600_000, () => undefined, { keepAlive: false });
  `);
  expect(await script.ended).toEqual({ code: 0, signal: null });
  expect(script.stderr()).toBe("");
});

describe("sleep", () => {
  it("resolves when the time has passed", async () => {
    const ports = manualPorts();
    let done = false;
    const slept = sleep(ports.timers, 100).then(() => {
      done = true;
    });
    await ports.advance(99);
    expect(done).toBe(false);
    await ports.advance(1);
    await slept;
  });

  it("rejects with the signal's reason at once, and leaves no timer", async () => {
    const ports = manualPorts();
    const abort = new AbortController();
    const slept = sleep(ports.timers, 100, abort.signal);
    const reason = new Error("enough");
    abort.abort(reason);
    await expect(slept).rejects.toBe(reason);
    await expect(sleep(ports.timers, 100, abort.signal)).rejects.toBe(reason);
    expect(ports.pending()).toEqual([]);
  });
});

const makeLate = (): Error => new Error("late");

describe("withTimeout", () => {
  it("passes value and error on, and leaves no timer", async () => {
    const ports = manualPorts();
    await expect(withTimeout(ports.timers, 10, Promise.resolve(7), makeLate)).resolves.toBe(7);
    await expect(withTimeout(ports.timers, 10, Promise.reject(new Error("own")), makeLate)).rejects.toThrow("own");
    expect(ports.pending()).toEqual([]);
  });

  it("rejects with the error made when the time is over; a later outcome changes nothing", async () => {
    const ports = manualPorts();
    const work = createDeferred();
    const timed = withTimeout(ports.timers, 10, work.promise, makeLate);
    const outcome = expect(timed).rejects.toThrow("late");
    await ports.advance(10);
    await outcome;
    work.reject(new Error("after the end"));
    await settle();
  });
});
