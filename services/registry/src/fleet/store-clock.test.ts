/** The estimate against a store whose answers take any time. A failure prints its seed. */
import { ManualClock } from "@headroom/testing";
import fc from "fast-check";
import { expect, it } from "vitest";
import { StoreClock } from "./store-clock.ts";

const anyCall = fc.record({
  thereMs: fc.nat(5_000),
  backMs: fc.nat(5_000),
  thenMs: fc.nat(60_000),
  isTimed: fc.boolean(),
});

it("DESIGN-4: the store's time is never earlier than the one estimate and never later than the other, whatever its answers take", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.array(anyCall, { minLength: 1 }), (aheadMs, calls) => {
      const clock = new ManualClock();
      const storeNowMs = (): number => clock.now() + aheadMs;
      const storeClock = new StoreClock(clock);
      for (const [each, { thereMs, backMs, thenMs, isTimed }] of calls.entries()) {
        const askedAtMs = storeClock.asking();
        clock.pass(thereMs);
        const toldMs = storeNowMs();
        clock.pass(backMs);
        // The first one is timed, as the load of the fleet is.
        storeClock.observe(toldMs, each === 0 || isTimed ? askedAtMs : null);
        for (const ms of [0, thenMs]) {
          clock.pass(ms);
          expect(storeClock.now()).toBeLessThanOrEqual(storeNowMs());
          expect(storeClock.latest()).toBeGreaterThanOrEqual(storeNowMs());
        }
        expect(storeClock.now()).toBe(storeNowMs() - backMs);
        if (isTimed) expect(storeClock.latest()).toBe(storeNowMs() + thereMs);
      }
    }),
  );
});
