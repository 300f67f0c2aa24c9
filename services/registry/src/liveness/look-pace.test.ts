import { manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { LookPace } from "./look-pace.ts";

/** Looks that take so long each, and when each began. */
function setUp(lookMs: number) {
  const ports = manualPorts();
  const begunAtMs: number[] = [];
  const look = (): void => {
    begunAtMs.push(ports.clock.monotonic() - startMs);
    pace.began();
    ports.timers.after(lookMs, () => pace.ended());
  };
  const startMs = ports.clock.monotonic();
  const pace = new LookPace({ clock: ports.clock, timers: ports.timers, longestRestMs: 1_000, look });
  return { ports, pace, look, begunAtMs };
}

it("DESIGN-4: what is told is looked for at once, and however much is told looks take a fifth of the time", async () => {
  const { ports, pace, begunAtMs } = setUp(100);
  for (let atMs = 0; atMs < 2_400; atMs += 10) {
    pace.told();
    await ports.advance(10);
  }
  expect(begunAtMs).toEqual([0, 500, 1_000, 1_500, 2_000]);
});

it("what is told during a look is looked for after it has been rested from that look, not from the one before", async () => {
  const { ports, pace, begunAtMs } = setUp(100);
  pace.told();
  await ports.advance(50);
  pace.told();
  await ports.advance(449);
  expect(begunAtMs).toEqual([0]);
  await ports.advance(1_000);
  expect(begunAtMs).toEqual([0, 500]);
});

it("a look that came by itself has seen what was told before: it is not looked for again", async () => {
  const { ports, pace, look, begunAtMs } = setUp(100);
  pace.told();
  await ports.advance(150);
  pace.told();
  await ports.advance(50);
  look();
  await ports.advance(5_000);
  expect(begunAtMs).toEqual([0, 200]);
});

it("no rest is longer than a look by itself is away", async () => {
  const { ports, pace, begunAtMs } = setUp(15_000);
  pace.told();
  await ports.advance(15_000);
  pace.told();
  await ports.advance(5_000);
  expect(begunAtMs).toEqual([0, 16_000]);
});

it("what is forgotten is not looked for, also where a look is in progress; what is told later is", async () => {
  const { ports, pace, begunAtMs } = setUp(100);
  pace.told();
  pace.forget();
  await ports.advance(1_000);
  expect(begunAtMs).toEqual([]);
  pace.told();
  await ports.advance(50);
  pace.told();
  pace.forget();
  await ports.advance(1_000);
  expect(begunAtMs).toHaveLength(1);
  pace.told();
  await ports.advance(1);
  expect(begunAtMs).toHaveLength(2);
});
