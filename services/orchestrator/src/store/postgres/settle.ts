import type { Queryable } from "@headroom/postgres";
import type { EpochMs } from "@headroom/scheduling";
import type {
  AppliedVerdict,
  AttemptKnown,
  AttemptResult,
  DecideAttempt,
  FencedAttempt,
  Patience,
  UndeliveredAttempt,
} from "../model.ts";
import { type AttemptRow, readAttempts } from "./attempt-rows.ts";
import type { Report, SubmitReport, Told } from "./reports.ts";

/** Of an end that no agent told of. */
export function nothingTold(reason: string): Told {
  return {
    exitCode: null,
    signal: "",
    sentence: "",
    startedAtMs: null,
    finishedAtMs: null,
    used: null,
    lastOutputSeq: null,
    reason,
  };
}

/** It certainly never reached its agent. */
export function isUnsent(row: AttemptRow): boolean {
  return row.attempt_state === "assigned" && row.unsent && !row.superseded;
}

/** `startedAtMs` null: only accepted so far. */
export async function acceptOrStart(
  submit: SubmitReport,
  attempt: FencedAttempt,
  agentId: string,
  startedAtMs: number | null,
  patience?: Patience,
): Promise<AttemptKnown | null> {
  const answer = await submit({ kind: "runs", attempt, agentId, startedAtMs, patience });
  return answer?.kind === "runs" ? answer.attempt : null;
}

type Ends = Omit<Extract<Report, { readonly kind: "ends" }>, "kind">;

async function settle(submit: SubmitReport, report: Ends): Promise<AppliedVerdict | null> {
  const answer = await submit({ kind: "ends", ...report });
  return answer?.kind === "ends" ? answer.applied : null;
}

/** A result that an agent reports. A lower fence than the attempt's is left to the decision, which refuses it. */
export function finishAttempt(
  submit: SubmitReport,
  result: AttemptResult,
  decide: DecideAttempt,
  patience?: Patience,
): Promise<AppliedVerdict | null> {
  return settle(submit, {
    attempt: result,
    decide,
    told: { ...result, reason: result.outcome.toUpperCase() },
    actor: "agent",
    stillSo: (row) => row.agent_id === result.agentId,
    patience,
  });
}

export async function lastSentAt(db: Queryable, attemptId: string): Promise<EpochMs | null> {
  const [row] = await readAttempts(db, [attemptId]);
  return row?.sent_at_ms ?? null;
}

/** Whoever refused it may have ended while that waited for a lock, and whoever came after it may have been sent the same and run it. */
export function undeliver(
  submit: SubmitReport,
  attempt: UndeliveredAttempt,
  agentId: string,
  decide: DecideAttempt,
  patience?: Patience,
): Promise<AppliedVerdict | null> {
  return settle(submit, {
    attempt,
    decide,
    told: nothingTold("UNDELIVERED"),
    actor: "agent",
    stillSo: (row) =>
      row.agent_id === agentId &&
      row.attempt_state === "assigned" &&
      row.fence === attempt.fence &&
      patience?.signal.aborted !== true &&
      (attempt.sentAtMs === undefined || attempt.sentAtMs === row.sent_at_ms),
    patience,
  });
}

export function takeBackUnsent(
  submit: SubmitReport,
  attempt: FencedAttempt,
  decide: DecideAttempt,
): Promise<AppliedVerdict | null> {
  return settle(submit, {
    attempt,
    decide,
    told: nothingTold("UNDELIVERED"),
    actor: "orchestrator",
    stillSo: isUnsent,
  });
}

export function loseAttempt(
  submit: SubmitReport,
  attempt: FencedAttempt,
  graceMs: number,
  decide: DecideAttempt,
): Promise<AppliedVerdict | null> {
  return settle(submit, {
    attempt,
    decide,
    told: nothingTold("LOST"),
    actor: "orchestrator",
    stillSo: (row) =>
      (row.attempt_state === "assigned" || row.attempt_state === "running") && row.lease_over_ms >= graceMs,
  });
}
