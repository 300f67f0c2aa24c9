import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { manualPorts, settle } from "./manual-ports.test-helper.ts";
import { sleep, systemTimers, withTimeout } from "./index.ts";

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

it("keepAlive: false lets the process end", () => {
  const script = `import { systemTimers } from ${JSON.stringify(new URL("./timers.ts", import.meta.url).href)};
    systemTimers.after(600_000, () => undefined, { keepAlive: false });`;
  // Node 20 strips no types, so the script runs bundled.
  const esbuild = `import { build } from "esbuild";
    await build({ stdin: { contents: ${JSON.stringify(script.replace("file://", ""))}, resolveDir: "/" }, bundle: true, format: "esm", platform: "node", write: false })
      .then((r) => import("data:text/javascript," + encodeURIComponent(r.outputFiles[0].text)));`;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", esbuild], { timeout: 25_000, encoding: "utf8" });
  expect(ended.stderr).toBe("");
  expect(ended.status).toBe(0);
});

describe("sleep", () => {
  it("resolves when the time has passed", async () => {
    const ports = manualPorts();
    const done = vi.fn<() => void>();
    const slept = sleep(ports.timers, 100).then(done);
    await ports.advance(99);
    expect(done).not.toHaveBeenCalled();
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

describe("withTimeout", () => {
  it("passes value and error on, and leaves no timer", async () => {
    const ports = manualPorts();
    const late = (): Error => new Error("late");
    await expect(withTimeout(ports.timers, 10, Promise.resolve(7), late)).resolves.toBe(7);
    await expect(withTimeout(ports.timers, 10, Promise.reject(new Error("own")), late)).rejects.toThrow("own");
    expect(ports.pending()).toEqual([]);
  });

  it("rejects with the error made when the time is over; a later outcome changes nothing", async () => {
    const ports = manualPorts();
    let fail: (error: Error) => void = () => undefined;
    const work = new Promise<void>((_resolve, reject) => {
      fail = reject;
    });
    const timed = withTimeout(ports.timers, 10, work, () => new Error("late"));
    const outcome = expect(timed).rejects.toThrow("late");
    await ports.advance(10);
    await outcome;
    fail(new Error("after the end"));
    await settle();
  });
});
