import type { EpochMs } from "@headroom/scheduling";
import type { Facts, Violation } from "./facts.ts";

/** An agent that said it would go: its program was stopped, or its machine was about to sleep. */
export interface Farewell {
  readonly agentId: string;
  readonly atMs: EpochMs;
}

/** A registry that has just started, or goes on after it stood still: what it does not know yet is nowhere written. */
export interface Boot {
  readonly atMs: EpochMs;
}

/** What is written down of it comes so much later, at most. */
const writtenWithinMs = 60_000;

/** V22: an agent that is online becomes offline at once only when it said so; else it is suspect before. */
export function checkFarewells(
  { changes }: Facts,
  farewells: readonly Farewell[],
  boots: readonly Boot[],
): readonly Violation[] {
  const statuses = new Map<string, string>();
  return changes.flatMap((change) => {
    if (change.row !== "agent" || change.status === null) return [];
    const { agentId, status, atMs } = change;
    const before = statuses.get(agentId);
    statuses.set(agentId, status);
    if (before !== "online" || status !== "offline") return [];
    const isTold = farewells.some(
      (one) => one.agentId === agentId && atMs >= one.atMs && atMs - one.atMs <= writtenWithinMs,
    );
    const isBooting = boots.some((boot) => atMs >= boot.atMs && atMs - boot.atMs <= writtenWithinMs);
    if (isTold || isBooting) return [];
    return [{ invariant: "V22" as const, what: `at ${atMs} agent ${agentId} was taken for gone while it was online` }];
  });
}
