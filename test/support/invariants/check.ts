/** The one checker of every random test: facts in, violations out. What each number means stands in docs/invariants.md. */
import { checkAccepted, checkEnded } from "./check-endings.ts";
import { checkGate } from "./check-gate.ts";
import { checkFences, checkOneOpen, checkSuperseded, checkTakeovers } from "./check-fences.ts";
import { checkHeld } from "./check-held.ts";
import { checkDependencies } from "./check-dependencies.ts";
import { checkKept } from "./check-kept.ts";
import { checkHistory } from "./check-history.ts";
import { checkEndsOnce, checkMoves } from "./check-moves.ts";
import { checkOrder } from "./check-order.ts";
import { checkLeaks, checkPromises } from "./check-room.ts";
import { checkAcked, checkResultsReal, checkRunsAssigned, checkRunsFit, checkRunsOnce } from "./check-runs.ts";
import { checkSuccesses } from "./check-successes.ts";
import { checkAllowed, checkCancelled, checkResumeAfter, checkUsable } from "./check-turns.ts";
import { checkTogether } from "./check-together.ts";
import { checkWaitTimeouts } from "./check-wait-timeouts.ts";
import { checkWaiting } from "./check-waiting.ts";
import type { Facts, Violation } from "./facts.ts";

export interface CheckOptions {
  /** The longest that anything may wait with room for it and its turn. */
  readonly waitBoundMs: number;
  /** How much later than the store a registry process may learn that a machine takes no work, while the database answers. Default 15 s. */
  readonly toldWithinMs?: number;
  /** Longer than two leases of a claim. Default 60 s. */
  readonly claimedForMs?: number;
}

const checks: readonly ((facts: Facts) => readonly Violation[])[] = [
  checkAccepted,
  checkEnded,
  checkEndsOnce,
  checkMoves,
  checkHistory,
  checkFences,
  checkOneOpen,
  checkRunsAssigned,
  checkRunsOnce,
  checkSuperseded,
  checkResultsReal,
  checkPromises,
  checkRunsFit,
  checkLeaks,
  checkAllowed,
  checkWaitTimeouts,
  checkResumeAfter,
  checkCancelled,
  checkGate,
  checkKept,
  checkHeld,
  checkTakeovers,
  checkTogether,
  checkAcked,
  checkSuccesses,
  checkDependencies,
];

export function findViolations(
  facts: Facts,
  { waitBoundMs, toldWithinMs = 15_000, claimedForMs = 60_000 }: CheckOptions,
): readonly Violation[] {
  return [
    ...checks.flatMap((check) => check(facts)),
    ...checkUsable(facts, toldWithinMs),
    ...checkWaiting(facts, waitBoundMs),
    ...checkOrder(facts, claimedForMs),
  ];
}

/** For the assertion of a test: one line a violation, the first of many. */
export function violationLines(violations: readonly Violation[]): readonly string[] {
  const most = 40;
  const lines = violations.slice(0, most).map(({ invariant, what }) => `${invariant} ${what}`);
  return violations.length > most ? [...lines, `and ${violations.length - most} more`] : lines;
}
