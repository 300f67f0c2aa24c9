/** A short run of `npm run fuzz`: rubbish of every kind against real processes, the same each time. */
import { expect, it } from "vitest";
import { fuzz } from "./fuzz.ts";

const seed = Number(process.env["HEADROOM_FUZZ_SEED"] ?? "20261127");

it(
  "R-SHAPE-5: whatever is sent to whichever port, nothing ends, grows or answers wrongly",
  { timeout: 900_000 },
  async () => {
    // How late a loop was says more of the machine than of the program here.
    const { tally } = await fuzz({
      seed,
      minutes: 0,
      effort: 0.05,
      bounds: { worstDelayMs: Number.POSITIVE_INFINITY },
    });
    expect(tally.findings, `again: npm run fuzz -- --seed ${seed} --effort 0.05`).toEqual([]);
    expect(tally.caseCount).toBeGreaterThan(1_000);
    expect(tally.answers["INVALID_ARGUMENT"]).toBeGreaterThan(50);
  },
);
