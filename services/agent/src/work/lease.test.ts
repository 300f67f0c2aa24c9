import { ManualClock } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { beginLease, freezeLease, graceLeftMs, judgeLease, renewEveryMs, renewLease, sleepLease } from "./lease.ts";
import { StallWatch } from "./stall-watch.ts";

describe("a work lease", () => {
  it("ends its attempt when it was not renewed while the machine was awake", () => {
    const lease = beginLease(60_000, 1_000);
    expect(judgeLease(lease, 60_999, false)).toBe("goes_on");
    expect(judgeLease(lease, 61_000, false)).toBe("end");
  });

  it("counts a renewal from when it was asked for, and never shortens", () => {
    const lease = renewLease(beginLease(60_000, 0), 20_000);
    expect(lease.endsAtMs).toBe(80_000);
    expect(renewLease(lease, 10_000).endsAtMs).toBe(80_000);
  });

  it("stops an attempt that the machine slept over, until it is renewed or too much time has passed", () => {
    const frozen = freezeLease(beginLease(60_000, 0), 7_200_000);
    expect(judgeLease(beginLease(60_000, 0), 7_200_000, true)).toBe("freeze");
    expect(judgeLease(frozen, 7_200_000 + 59_999, false)).toBe("thaw_not_yet");
    expect(judgeLease(frozen, 7_200_000 + 60_000, false)).toBe("end");
    expect(judgeLease(renewLease(frozen, 7_200_100), 7_200_200, false)).toBe("goes_on");
  });

  it("DESIGN-5: of a machine that slept nothing goes on before it is renewed, however much of the lease is left", () => {
    const asleep = sleepLease(beginLease(300_000, 0));
    expect(judgeLease(asleep, 86_400_000, true)).toBe("thaw_not_yet");
    const back = freezeLease(asleep, 10_000);
    expect(judgeLease(back, 10_001, false)).toBe("thaw_not_yet");
    // What is left of the lease is time to get the renewal, and at least a minute.
    expect(judgeLease(back, 299_999, false)).toBe("thaw_not_yet");
    expect(judgeLease(back, 300_000, false)).toBe("end");
    expect(judgeLease(renewLease(back, 10_500), 11_000, false)).toBe("goes_on");
  });

  it("DESIGN-5: leaves whoever is ended no grace once the task may run elsewhere, 30 s after its end", () => {
    const lease = beginLease(60_000, 0);
    expect(graceLeftMs(lease, 60_000, 10_000)).toBe(10_000);
    expect(graceLeftMs(lease, 85_000, 10_000)).toBe(5_000);
    expect(graceLeftMs(lease, 90_000, 10_000)).toBe(0);
    expect(graceLeftMs(freezeLease(lease, 3_600_000), 3_600_000, 10_000)).toBe(0);
  });

  it("is renewed three times within the shortest lease, or as often as the orchestrator wants", () => {
    expect(renewEveryMs([beginLease(300_000, 0), beginLease(30_000, 0)], 60_000)).toBe(10_000);
    expect(renewEveryMs([beginLease(300_000, 0)], 30_000)).toBe(30_000);
    expect(renewEveryMs([], 30_000)).toBe(30_000);
    expect(renewEveryMs([beginLease(0, 0)], 30_000)).toBe(1_000);
  });
});

describe("StallWatch", () => {
  it("takes a message read after a standstill for as old as the standstill", () => {
    const clock = new ManualClock();
    const watch = new StallWatch(clock);
    clock.pass(1_000);
    expect(watch.tick()).toBe(false);
    clock.pass(900);
    expect(watch.receivedAtMs()).toBe(1_900);
    // Asleep for a minute: both before and after the late tick, what is read may have waited since 1,000.
    clock.pass(60_000);
    expect(watch.receivedAtMs()).toBe(1_000);
    expect(watch.tick()).toBe(true);
    expect(watch.receivedAtMs()).toBe(1_000);
    clock.pass(1_000);
    expect(watch.tick()).toBe(false);
    expect(watch.receivedAtMs()).toBe(clock.monotonic());
  });
});
