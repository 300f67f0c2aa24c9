import { type AttemptState, type EpochMs, isFinalAttemptState } from "@headroom/scheduling";
import type { Facts, ReservationChange, RunFact, Violation } from "./facts.ts";

/** Clocks of machines and of the database agree to within this, and so do an end and what is told of it. */
const slackMs = 2_000;

/**
 * V20: room is not given up while its attempt is in force and the agent is not offline: not by an old owner's release, not because beats
 * are late. What the agent has confirmed is kept while the command runs; what it has not, until the lease or the command ends.
 */
export function checkKept({ changes, runs }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const runOf = new Map(runs.map((run) => [run.attemptId, run]));
  const attempts = new Map<string, AttemptState>();
  const statuses = new Map<string, string>();
  const before = new Map<string, ReservationChange>();
  for (const change of changes) {
    if (change.row === "attempt") attempts.set(change.attemptId, change.state);
    if (change.row === "agent" && change.status !== null) statuses.set(change.agentId, change.status);
    if (change.row !== "reservation") continue;
    const { attemptId, agentId, state, atMs } = change;
    const was = before.get(attemptId);
    before.set(attemptId, change);
    const attempt = attempts.get(attemptId);
    const isGivenUp = was?.agentId === agentId && (state === "released" || state === "gone");
    if (!isGivenUp || attempt === undefined || isFinalAttemptState(attempt)) continue;
    if (statuses.get(agentId) === "offline" || !isKept(was, runOf.get(attemptId), atMs)) continue;
    const what = `at ${atMs} the room of ${attemptId} (${attempt}, ${was.state}) on agent ${agentId} was given up`;
    violations.push({ invariant: "V20", what });
  }
  return violations;
}

/** Whether it had to stay as it was. */
function isKept(was: ReservationChange, run: RunFact | undefined, atMs: EpochMs): boolean {
  const { state, agentId, leaseExpiresAtMs = null } = was;
  if (state === "unconfirmed")
    return leaseExpiresAtMs !== null && leaseExpiresAtMs > atMs && !hasEnded(run, agentId, atMs);
  return (state === "confirmed" || state === "adopted") && run !== undefined && runsOn(run, agentId, atMs);
}

/** Its agent says so as soon as its processes are gone, or if there never were any, and the result is committed a moment later. */
function hasEnded(run: RunFact | undefined, onAgentId: string, atMs: EpochMs): boolean {
  return run?.agentId === onAgentId && run.end !== null && run.end.atMs <= atMs + slackMs;
}

function runsOn({ agentId, starts, end }: RunFact, onAgentId: string, atMs: EpochMs): boolean {
  const startedMs = starts.at(-1)?.atMs;
  if (agentId !== onAgentId || startedMs === undefined || startedMs > atMs) return false;
  return end !== null && end.atMs > atMs + slackMs;
}
