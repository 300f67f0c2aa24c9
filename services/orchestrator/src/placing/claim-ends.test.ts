import { manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { ClaimEnds } from "./claim-ends.ts";

it("somebody looks when the first and when the last of the claims that are left have ended, and then no more", async () => {
  const ports = manualPorts();
  const lookedAtMs: number[] = [];
  const startMs = ports.clock.monotonic();
  const ends = new ClaimEnds({
    ...ports,
    leaseMs: 15_000,
    look: () => lookedAtMs.push(ports.clock.monotonic() - startMs),
  });
  ends.note();
  for (let second = 0; second < 10; second += 1) {
    await ports.advance(1_000);
    ends.note();
  }
  await ports.advance(60_000);
  expect(lookedAtMs).toEqual([15_050, 25_050]);
  ends.note();
  await ports.advance(60_000);
  expect(lookedAtMs).toHaveLength(3);
});
