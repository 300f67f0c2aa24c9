import type { EpochMs } from "@headroom/scheduling";
import type { Facts, Violation } from "./facts.ts";

/**
 * V19: while nothing is wrong, what is given out is accepted by its agent within `boundMs`: whoever holds the agent's stream is told, and
 * need not look. Only of attempts that were given out from `fromMs` on, and accepted at all, by an agent of which nothing was told meanwhile: one that finds out that its stream is
 * dead comes back first.
 */
export function checkDelivered({ changes, attempts }: Facts, fromMs: EpochMs, boundMs: number): readonly Violation[] {
  const givenAt = new Map<string, EpochMs>();
  const toldAt = new Map<string, EpochMs>();
  const agentOf = new Map(attempts.map(({ attemptId, agentId }) => [attemptId, agentId]));
  return changes.flatMap((change) => {
    if (change.row === "agent") toldAt.set(change.agentId, change.atMs);
    if (change.row !== "attempt") return [];
    const { attemptId, state, atMs } = change;
    if (state === "assigned" && !givenAt.has(attemptId)) givenAt.set(attemptId, atMs);
    const sinceMs = givenAt.get(attemptId);
    if (state !== "running" || sinceMs === undefined) return [];
    givenAt.delete(attemptId);
    if (sinceMs < fromMs || atMs - sinceMs <= boundMs) return [];
    if ((toldAt.get(agentOf.get(attemptId) ?? "") ?? -Infinity) >= sinceMs) return [];
    const what = `attempt ${attemptId} was given out at ${sinceMs} and accepted ${Math.round(atMs - sinceMs)} ms later`;
    return [{ invariant: "V19" as const, what }];
  });
}
