import type { AgentChange, Facts, Violation } from "./facts.ts";

/** The brake as DESIGN 4 has it, written again. */
const leastLosses = 10;
const leastFraction = 0.15;
const longestGraces = 3;
/** One verdict a sweep, which is a second, and two registries may sweep: more than this many in three seconds are no such trickle. */
const windowMs = 3_000;
/** Suspect and given up are written a moment after they are decided, the one sooner than the other. */
const writtenWithinMs = 500;
/** What sweeps and writes may take on top; and what restarts may. */
const slackMs = 12_000;
const restartSlackMs = 40_000;

export interface MassLossOptions {
  readonly graceMs: number;
  /** Nothing else was wrong: nobody was restarted, nor stood still. */
  readonly isQuiet: boolean;
}

/**
 * V17: when much of a fleet falls silent at once, the fault is probably ours: it is held as suspect for three graces from the first verdict on, but for
 * one verdict a sweep; and not for longer.
 */
export function checkMassLoss(
  { changes, machines, outages, untilMs }: Facts,
  { graceMs, isQuiet }: MassLossOptions,
): readonly Violation[] {
  if (machines.length < leastLosses || outages.length > 0) return [];
  const violations: Violation[] = [];
  const suspectSince = new Map<string, number>();
  /** Since when somebody has been suspect all the time. */
  let beganMs = -Infinity;
  const losses: { readonly atMs: number; readonly beganMs: number }[] = [];
  const heldTooLong = (agentId: string, toMs: number): void => {
    const sinceMs = suspectSince.get(agentId);
    const limitMs = (1 + longestGraces) * graceMs + (isQuiet ? slackMs : machines.length * 1_000 + restartSlackMs);
    if (sinceMs === undefined || toMs - sinceMs <= limitMs) return;
    const what = `agent ${agentId} was suspect from ${sinceMs} to ${toMs}, and neither back nor given up`;
    violations.push({ invariant: "V17", what });
  };
  for (const change of changes.filter(isLiveness)) {
    const { agentId, status, atMs } = change;
    if (status === "suspect") {
      if (suspectSince.size === 0) beganMs = atMs;
      if (!suspectSince.has(agentId)) suspectSince.set(agentId, atMs);
      continue;
    }
    heldTooLong(agentId, atMs);
    const sinceMs = suspectSince.get(agentId);
    suspectSince.delete(agentId);
    if (status !== "offline" || sinceMs === undefined) continue;
    losses.push({ atMs, beganMs });
    // The brake takes hold with the first verdict, a grace after the first suspicion, and ends for all at once.
    const heldMs = (1 + longestGraces) * graceMs - writtenWithinMs;
    const together = losses.filter((loss) => atMs - loss.atMs <= windowMs && loss.atMs - loss.beganMs < heldMs);
    if (together.length < leastLosses || together.length < leastFraction * machines.length) continue;
    violations.push({
      invariant: "V17",
      what: `at ${atMs} ${together.length} agents were given up within ${windowMs} ms`,
    });
    losses.length = 0;
  }
  for (const agentId of suspectSince.keys()) heldTooLong(agentId, untilMs);
  return violations;
}

function isLiveness(change: Facts["changes"][number]): change is AgentChange {
  return change.row === "agent" && change.status !== null;
}
