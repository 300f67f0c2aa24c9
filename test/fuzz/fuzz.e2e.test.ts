/** A short run of `npm run fuzz`: rubbish against real processes, the same each time. */
import { expect, it } from "vitest";
import { fuzz } from "./fuzz.ts";

const seed = Number(process.env["HEADROOM_FUZZ_SEED"] ?? "20261127");
const only = ["messages", "framing", "streams"];

it("R-SHAPE-5: whatever is sent, nothing ends, grows or answers wrongly", { timeout: 900_000 }, async () => {
  // How late a loop was says more of the machine than of the program here.
  const bounds = { worstDelayMs: Number.POSITIVE_INFINITY };
  const { tally } = await fuzz({ seed, minutes: 0, effort: 0.05, only, bounds });
  const again = `npm run fuzz -- --seed ${seed} --effort 0.05 --only ${only.join(",")}`;
  expect(tally.findings, `again: ${again}`).toEqual([]);
  expect(tally.caseCount).toBeGreaterThan(200);
  expect(tally.answers["INVALID_ARGUMENT"]).toBeGreaterThan(20);
});
