/** Changes reservations under the guards of their agents: one statement, one round trip, all or nothing. */
import { classifyError, defineStatement, type Queryable } from "@headroom/postgres";
import type { CommitResult, ReservationCommit, ReservationWrite } from "../registry-store.ts";
import type { StoredReservation } from "../stored-agent.ts";
import { findReservations } from "./leases.ts";
import { reservationParameters } from "./reservation-parameters.ts";

/*
 * Why nothing is ever half applied. All parts of a statement read one snapshot, in which another commit may be missing that
 * ends while this one waits for a lock. So what the writes rely on is locked first and read from the locks:
 *
 * 1. `guard` locks the guards in the order of their ids (two commits on the same agents wait and do not deadlock) and has
 *    their newest versions. Versions only grow, and the expected one was learned from an earlier commit: if all are as
 *    expected, nobody has changed the reservations of these agents since, and the snapshot of their rows is the truth.
 * 2. `known` locks the rows that are to be replaced; only a tombstone that is purged meanwhile can be missing there. It is
 *    looked for only under guards that hold, so nobody waits for a row who does not have its guard.
 * 3. Guards move and rows are written only if both hold, in full; what has been locked cannot slip away any more.
 * 4. A new row whose attempt another agent has already, under a guard that is not ours, breaks the primary key: the error
 *    undoes the statement. New rows come in the order of their ids, so that two commits cannot wait for each other.
 */
const statement = defineStatement<Outcome>({
  name: "registry_commit_reservations",
  text: `
WITH expected AS MATERIALIZED (
  SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS e(agent_id, version)
), guard AS MATERIALIZED (
  SELECT g.agent_id, g.version FROM agent_guards g JOIN expected USING (agent_id)
   ORDER BY g.agent_id FOR UPDATE OF g
), moved AS MATERIALIZED (
  SELECT agent_id FROM expected
  EXCEPT SELECT agent_id FROM guard JOIN expected USING (agent_id, version)
), given AS MATERIALIZED (
  SELECT w.*, ($3::jsonb[])[w.cards_at] AS cards, ($4::text[])[w.shape_at] AS shape, ($5::jsonb[])[w.needs_at] AS needs
    FROM unnest($6::uuid[], $7::uuid[], $8::uuid[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[],
                $13::int[], $14::int[], $15::int[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[],
                $20::text[], $21::text[])
      AS w(attempt_id, agent_id, previous_agent_id, fence, state, cpu_millicores, memory_mib, cards_at, shape_at,
           needs_at, lease_ms, expected_end_ms, reserved_ms, released_ms, plan_id, task_id)
), known AS MATERIALIZED (
  SELECT r.attempt_id FROM given w JOIN reservations r ON r.attempt_id = w.attempt_id AND r.agent_id = w.previous_agent_id
   WHERE w.previous_agent_id IS NOT NULL AND (SELECT count(*) = 0 FROM moved)
     FOR UPDATE OF r
), missed AS MATERIALIZED (
  SELECT attempt_id FROM given WHERE previous_agent_id IS NOT NULL EXCEPT SELECT attempt_id FROM known
), verdict AS MATERIALIZED (
  SELECT (SELECT count(*) = 0 FROM moved) AND (SELECT count(*) = 0 FROM missed) AS holds
), moving AS (
  UPDATE agent_guards SET version = version + 1, changed_at = now()
   WHERE agent_id = ANY ($1::uuid[]) AND (SELECT holds FROM verdict)
), inserting AS (
  INSERT INTO reservations (attempt_id, agent_id, fence, state, cpu_millicores, memory_mib, cards, shape, needs,
    lease_expires_at, expected_end_at, reserved_at, released_at, plan_id, task_id)
  SELECT attempt_id, agent_id, fence, state, cpu_millicores, memory_mib, cards, shape, needs,
         now() + lease_ms * interval '1 millisecond', to_timestamp(expected_end_ms / 1000.0),
         coalesce(to_timestamp(reserved_ms / 1000.0), now()),
         CASE state WHEN 'released' THEN coalesce(to_timestamp(released_ms / 1000.0), now()) END, plan_id, task_id
    FROM given WHERE previous_agent_id IS NULL AND (SELECT holds FROM verdict)
), replacing AS (
  UPDATE reservations r
     SET agent_id = w.agent_id, fence = w.fence, state = w.state, cpu_millicores = w.cpu_millicores,
         memory_mib = w.memory_mib, cards = w.cards, shape = w.shape, needs = w.needs,
         lease_expires_at = now() + w.lease_ms * interval '1 millisecond',
         expected_end_at = to_timestamp(w.expected_end_ms / 1000.0),
         reserved_at = coalesce(to_timestamp(w.reserved_ms / 1000.0), now()),
         released_at = CASE w.state WHEN 'released' THEN coalesce(to_timestamp(w.released_ms / 1000.0), now()) END,
         plan_id = w.plan_id, task_id = w.task_id
    FROM given w
   WHERE r.attempt_id = w.attempt_id AND w.previous_agent_id IS NOT NULL AND (SELECT holds FROM verdict)
)
SELECT now() AS now, holds, ARRAY(SELECT agent_id::text FROM moved) AS moved,
       ARRAY(SELECT attempt_id::text FROM missed WHERE (SELECT count(*) = 0 FROM moved)) AS missed
  FROM verdict`,
});

interface Outcome {
  readonly now: number;
  readonly holds: boolean;
  readonly moved: readonly string[];
  readonly missed: readonly string[];
}

export async function commitReservations(db: Queryable, commit: ReservationCommit): Promise<CommitResult> {
  const outcome = await runCommit(db, commit);
  if (outcome === "taken") return { kind: "conflict", agentIds: [], attemptIds: await takenAttempts(db, commit) };
  const { now, holds, moved, missed } = outcome;
  if (!holds) return { kind: "conflict", agentIds: moved, attemptIds: missed };
  return { kind: "committed", nowMs: now, reservations: commit.writes.map((write) => written(write, now)) };
}

async function runCommit(db: Queryable, commit: ReservationCommit): Promise<Outcome | "taken"> {
  try {
    const [outcome] = await db.query(statement, reservationParameters(commit));
    if (outcome === undefined) throw new Error("a commit of reservations returned no row");
    return outcome;
  } catch (error) {
    const { kind } = classifyError(error);
    // A deadlock, which the order of the locks rules out among registries, undoes the statement as well.
    if (kind === "unique_violation" || kind === "serialization") return "taken";
    throw error;
  }
}

/** Those of the new rows whose attempts have a row by now. None, if it has gone again meanwhile: then trying again succeeds. */
async function takenAttempts(db: Queryable, { writes }: ReservationCommit): Promise<readonly string[]> {
  const fresh = writes.filter(({ previousAgentId }) => previousAgentId === null);
  const attemptIds = fresh.map(({ reservation }) => reservation.attemptId);
  return [...(await findReservations(db, attemptIds)).keys()];
}

/** The row as the statement has written it: all its times are of the one moment `nowMs`, or were given. */
function written({ reservation, leaseMs, endsNow, beginsNow }: ReservationWrite, nowMs: number): StoredReservation {
  return {
    ...reservation,
    leaseExpiresAtMs: leaseMs === null ? null : nowMs + Math.round(leaseMs),
    reservedAtMs: beginsNow ? nowMs : reservation.reservedAtMs,
    releasedAtMs: endsNow ? nowMs : reservation.releasedAtMs,
  };
}
