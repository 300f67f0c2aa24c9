import { expect, it } from "vitest";
import type { Facts } from "../../support/invariants/facts.ts";
import { findPromisedAsleep } from "./find-promised-asleep.ts";
import type { World } from "./world.ts";

/** A machine that sleeps from 100 to 200 s; room on it is promised at `atMs`. */
function found(atMs: number, stalls: Facts["stalls"] = []): readonly string[] {
  const world = {
    machines: [{ name: "desktop", agentId: "agent", naps: [{ fromMs: 100_000, toMs: 200_000 }] }],
    engine: { wallMs: 0 },
    postgres: { nowMs: 0 },
  } as unknown as World;
  const amounts = { cpuMillicores: 1_000, memoryMib: 0, cards: [] };
  const promise = { row: "reservation", atMs, attemptId: "a", agentId: "agent", state: "unconfirmed", amounts };
  return findPromisedAsleep(world, { changes: [promise], stalls } as unknown as Facts).map(
    ({ invariant }) => invariant,
  );
}

it("V14: nothing is promised on a machine that has slept for longer than it takes to doubt it", () => {
  expect(found(150_000)).toEqual(["V14"]);
  expect(found(120_000)).toEqual([]);
  expect(found(201_000)).toEqual([]);
  expect(found(150_000, [{ fromMs: 149_000, toMs: 151_000 }])).toEqual([]);
});
