import type { EpochMs } from "@headroom/scheduling";
import type { Facts, Violation } from "./facts.ts";

/**
 * V19: while nothing is wrong, what is given out is accepted by its agent within `boundMs`: whoever holds the agent's stream is told, and
 * need not look. Only of attempts that were given out from `fromMs` on, and accepted at all.
 */
export function checkDelivered({ changes }: Facts, fromMs: EpochMs, boundMs: number): readonly Violation[] {
  const givenAt = new Map<string, EpochMs>();
  return changes.flatMap((change) => {
    if (change.row !== "attempt") return [];
    const { attemptId, state, atMs } = change;
    if (state === "assigned" && !givenAt.has(attemptId)) givenAt.set(attemptId, atMs);
    const sinceMs = givenAt.get(attemptId);
    if (state !== "running" || sinceMs === undefined) return [];
    givenAt.delete(attemptId);
    if (sinceMs < fromMs || atMs - sinceMs <= boundMs) return [];
    const what = `attempt ${attemptId} was given out at ${sinceMs} and accepted ${Math.round(atMs - sinceMs)} ms later`;
    return [{ invariant: "V19" as const, what }];
  });
}
