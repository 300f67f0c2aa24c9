import { describe, expect, it } from "vitest";
import { createClock, createSuspendMeter, systemClock } from "./index.ts";

function fakeMachine() {
  const at = { wallMs: 1_700_000_000_000, steadyMs: 500, bootMs: 90_000 as number | null };
  const clock = createClock({ wallMs: () => at.wallMs, steadyMs: () => at.steadyMs, bootMs: () => at.bootMs });
  const pass = (ms: number): void => {
    at.wallMs += ms;
    at.steadyMs += ms;
    if (at.bootMs !== null) at.bootMs += ms;
  };
  const suspend = (ms: number): void => {
    at.wallMs += ms;
    if (at.bootMs !== null) at.bootMs += ms;
  };
  return { at, clock, pass, suspend };
}

it("the system clock tells epoch milliseconds and never goes back", () => {
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(60_000);
  let lastMs = systemClock.monotonic();
  for (let turn = 0; turn < 10_000; turn += 1) {
    const nextMs = systemClock.monotonic();
    expect(nextMs).toBeGreaterThanOrEqual(lastMs);
    lastMs = nextMs;
  }
});

it("monotonic time includes a suspend, from the first reading after it", () => {
  const { clock, pass, suspend } = fakeMachine();
  const startMs = clock.monotonic();
  pass(100);
  suspend(3_600_000);
  expect(clock.monotonic() - startMs).toBe(3_600_100);
  pass(10);
  expect(clock.monotonic() - startMs).toBe(3_600_110);
});

it("setting the wall clock moves now() and not monotonic()", () => {
  const { at, clock, pass } = fakeMachine();
  const startMs = clock.monotonic();
  at.wallMs -= 86_400_000;
  pass(5);
  expect(clock.monotonic() - startMs).toBe(5);
  at.wallMs += 2 * 86_400_000;
  expect(clock.monotonic() - startMs).toBe(5);
  expect(clock.now()).toBe(at.wallMs);
});

it("the coarse steps of the boot clock are not taken for a suspend, and a boot clock that fails is left alone", () => {
  const { at, clock, pass } = fakeMachine();
  const startMs = clock.monotonic();
  pass(2_000);
  at.bootMs = (at.bootMs ?? 0) + 9;
  expect(clock.monotonic() - startMs).toBe(2_000);
  at.bootMs = null;
  pass(2_000);
  expect(clock.monotonic() - startMs).toBe(4_000);
});

describe("the suspend meter", () => {
  const sources = (bootMs: number | null) => {
    const now = { wallMs: 1_000_000, steadyMs: 500, bootMs };
    const pass = (steadyMs: number, wallMs = steadyMs, bootPassedMs = steadyMs): void => {
      now.steadyMs += steadyMs;
      now.wallMs += wallMs;
      if (now.bootMs !== null) now.bootMs += bootPassedMs;
    };
    const meter = createSuspendMeter({
      wallMs: () => now.wallMs,
      steadyMs: () => now.steadyMs,
      bootMs: () => now.bootMs,
    });
    return { meter, pass };
  };

  it("DESIGN-4: with a boot clock only a suspend counts, once: no set clock, no standstill of this process", () => {
    const { meter, pass } = sources(9_000_000);
    pass(1_000, 1_000, 1_010);
    expect(meter.takeMs()).toBe(0);
    pass(1_000, 7_200_000, 1_000);
    expect(meter.takeMs()).toBe(0);
    pass(60_000);
    expect(meter.takeMs()).toBe(0);
    pass(1_000, 3_601_000, 3_601_000);
    expect(meter.takeMs()).toBe(3_600_000);
    expect(meter.takeMs()).toBe(0);
  });

  it("without one, what the wall clock has gained counts, or a long silence", () => {
    const { meter, pass } = sources(null);
    pass(1_000, 1_300);
    expect(meter.takeMs()).toBe(0);
    pass(1_000, 61_000);
    expect(meter.takeMs()).toBe(60_000);
    pass(1_000, -60_000);
    expect(meter.takeMs()).toBe(0);
    pass(29_000);
    expect(meter.takeMs()).toBe(0);
    pass(31_000);
    expect(meter.takeMs()).toBe(31_000);
  });
});
