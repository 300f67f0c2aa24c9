/** How what was decided of an attempt is told to the database, and written to its row. */
import type { AttemptChange } from "./report-draft.ts";

/** As `attemptChange` makes them. */
export const attemptChangeColumns = `attempt_id uuid, state text, runs boolean, ends boolean, started_at_ms double precision, finished_at_ms double precision,
           exit_code integer, signal text, reason text, sentence text, used jsonb, refused_results integer,
           output_end_seq bigint`;

/**
 * Until it is accepted its lease is that of the assignment, which may be longer. From then on it never steps back: a report may have waited for its plan's
 * lock, and a renewal that came after it has been written before it.
 */
const leaseOfRunning = `CASE WHEN a.accepted_at IS NULL THEN now() + a.work_lease_ms * interval '1 millisecond'
                                ELSE greatest(a.lease_expires_at, now() + a.work_lease_ms * interval '1 millisecond') END`;

/** What an UPDATE of `attempts a` sets, given a change `c`. */
export const setAttempt = `state = coalesce(c.state, a.state),
           accepted_at = CASE WHEN c.runs THEN coalesce(a.accepted_at, now()) ELSE a.accepted_at END,
           lease_expires_at = CASE WHEN c.runs AND NOT c.ends THEN ${leaseOfRunning} ELSE a.lease_expires_at END,
           started_at = coalesce(a.started_at, to_timestamp(c.started_at_ms / 1000.0)),
           finished_at = CASE WHEN c.ends THEN coalesce(to_timestamp(c.finished_at_ms / 1000.0), now()) ELSE a.finished_at END,
           exit_code = coalesce(c.exit_code, a.exit_code), signal = coalesce(c.signal, a.signal), reason = coalesce(c.reason, a.reason),
           sentence = coalesce(c.sentence, a.sentence), used = coalesce(c.used, a.used),
           refused_results = a.refused_results + c.refused_results, output_end_seq = coalesce(c.output_end_seq, a.output_end_seq)`;

export function attemptChange({ row, runs, startedAtMs, refusedResults, end }: AttemptChange): Record<string, unknown> {
  const told = end?.told;
  return {
    attempt_id: row.attempt_id,
    state: runs || end !== null ? row.attempt_state : null,
    runs,
    ends: end !== null,
    started_at_ms: startedAtMs ?? told?.startedAtMs ?? null,
    finished_at_ms: told?.finishedAtMs ?? null,
    exit_code: told?.exitCode ?? null,
    signal: told?.signal ?? null,
    reason: told?.reason ?? null,
    sentence: told?.sentence ?? null,
    used: told?.used ?? null,
    refused_results: refusedResults,
    output_end_seq: told?.lastOutputSeq ?? null,
  };
}
