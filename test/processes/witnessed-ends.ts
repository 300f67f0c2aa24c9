import type { LedgerLine } from "../e2e/support/ledger.ts";
import type { AttemptFact, RunFact } from "../support/invariants/facts.ts";

/**
 * An agent whose disk is full tells a result that it still owes its journal; killed before it could write it, it finds an attempt without an
 * end when it is back. Where the result had come through, and counts, what really came of the attempt is known from its command, which wrote it
 * itself as its last word before it ended with 0 (to the second). Where it had not, nobody but the command ever knew it.
 */
export function withWitnessedEnds(
  runs: readonly RunFact[],
  attempts: readonly Pick<AttemptFact, "attemptId" | "state">[],
  lines: readonly LedgerLine[],
): readonly RunFact[] {
  const ends = new Map(lines.filter(({ what }) => what === "end").map((line) => [line.attemptId, line]));
  const succeeded = new Set(attempts.flatMap(({ attemptId, state }) => (state === "succeeded" ? [attemptId] : [])));
  return runs.map((run) => {
    const seen = ends.get(run.attemptId);
    if (run.end?.outcome !== "agent_restarted" || seen === undefined || !succeeded.has(run.attemptId)) return run;
    const startedMs = Math.max(0, ...run.starts.map(({ atMs }) => atMs));
    const atMs = Math.max(startedMs, seen.atSeconds * 1_000);
    return { ...run, end: { atMs, outcome: "exited", exitCode: 0, fence: run.end.fence } };
  });
}
