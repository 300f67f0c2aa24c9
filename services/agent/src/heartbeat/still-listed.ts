import type { wire } from "@headroom/contracts";

/**
 * The sample without attempts that ended while it was measured. Their end may have been told to the orchestrator by now, which
 * gives their room to others; a list that comes after that must not claim it back. Until the next sample, what they used
 * counts as taken by other programs.
 */
export function stillListed(sample: wire.Sample, listed: readonly { readonly attemptId: string }[]): wire.Sample {
  const ids = new Set(listed.map(({ attemptId }) => attemptId));
  const attempts = sample.attempts.filter(({ attemptId }) => ids.has(attemptId));
  return attempts.length === sample.attempts.length ? sample : { ...sample, attempts };
}
