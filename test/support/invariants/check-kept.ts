import { type AttemptState, type EpochMs, isFinalAttemptState } from "@headroom/scheduling";
import type { Facts, ReservationChange, RunFact, Violation } from "./facts.ts";

/** Clocks of machines and of the database agree to within this, and so do an end and what is told of it. */
const slackMs = 2_000;

/**
 * V20: room that an agent has confirmed is not given up while the command runs there, its attempt counts, and the agent is not offline:
 * not by an old owner's release, not because beats are late.
 */
export function checkKept({ changes, runs }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const runOf = new Map(runs.map((run) => [run.attemptId, run]));
  const attempts = new Map<string, AttemptState>();
  const statuses = new Map<string, string>();
  const confirmed = new Map<string, string>();
  for (const change of changes) {
    if (change.row === "attempt") attempts.set(change.attemptId, change.state);
    if (change.row === "agent" && change.status !== null) statuses.set(change.agentId, change.status);
    if (change.row !== "reservation") continue;
    const { attemptId, agentId, state, atMs } = change;
    const was = confirmed.get(attemptId);
    if (isConfirmed(change)) confirmed.set(attemptId, agentId);
    else confirmed.delete(attemptId);
    const isGivenUp = was === agentId && (state === "released" || state === "gone");
    const attempt = attempts.get(attemptId);
    if (!isGivenUp || attempt === undefined || isFinalAttemptState(attempt)) continue;
    const run = runOf.get(attemptId);
    if (statuses.get(agentId) === "offline" || run === undefined || !runsOn(run, agentId, atMs)) continue;
    const what = `at ${atMs} the room of ${attemptId} (${attempt}) on agent ${agentId} was given up; it ran on until ${run.end?.atMs ?? "the end"}`;
    violations.push({ invariant: "V20", what });
  }
  return violations;
}

function isConfirmed({ state }: ReservationChange): boolean {
  return state === "confirmed" || state === "adopted";
}

function runsOn({ agentId, starts, end }: RunFact, onAgentId: string, atMs: EpochMs): boolean {
  const startedMs = starts.at(-1)?.atMs;
  if (agentId !== onAgentId || startedMs === undefined || startedMs > atMs) return false;
  return end !== null && end.atMs > atMs + slackMs;
}
