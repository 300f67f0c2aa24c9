import type { Outcome } from "./simulate.ts";
import type { Workers } from "./workers.ts";

/** Which invariants a run broke, or that it did not end. */
function kindsOf({ problems }: Outcome): ReadonlySet<string> {
  return new Set(problems.map((problem) => /^(V\d+|S\d+|not everything|the world broke)/.exec(problem)?.[0] ?? "left"));
}

/**
 * Tries a failing seed with fewer faults, one left out after the other, for as long as it fails in the same way. Answers the run with the
 * fewest.
 */
export async function shrink(failing: Outcome, workers: Workers): Promise<Outcome> {
  const wanted = [...kindsOf(failing)].filter((kind) => kind !== "left");
  let best = failing;
  for (const number of failing.faultNumbers) {
    const faults = best.faultNumbers.filter((other) => other !== number);
    await workers.run([{ seed: failing.seed, faults }], (outcome) => {
      const kinds = kindsOf(outcome);
      if (wanted.some((kind) => kinds.has(kind))) best = outcome;
    });
  }
  return best;
}
