/** Changes reservations under the guards of their agents: in one transaction, all or nothing. */
import { defineStatement, type Database, type Transaction } from "@headroom/postgres";
import type { CommitResult, ReservationCommit, ReservationWrite } from "../registry-store.ts";
import type { ReservationJson } from "./agent-row.ts";
import { cardAmountsToJson, needsToJson } from "./sample-json.ts";
import { toJson } from "./to-json.ts";

// The rows are locked in the order of their ids, so that two commits on the same agents wait and do not deadlock. The
// lock returns the newest version, which the condition then compares with the one that was decided on.
const moveGuards = defineStatement<{ readonly agent_id: string }>({
  name: "registry_move_guards",
  text: `
WITH expected AS (
  SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS e(agent_id, version)
), locked AS MATERIALIZED (
  SELECT g.agent_id, g.version FROM agent_guards g JOIN expected USING (agent_id)
   ORDER BY g.agent_id FOR UPDATE OF g
)
UPDATE agent_guards g SET version = g.version + 1, changed_at = now()
  FROM locked JOIN expected ON expected.agent_id = locked.agent_id
 WHERE g.agent_id = locked.agent_id AND locked.version = expected.version
RETURNING g.agent_id`,
});

const recordset = `
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS w(
    attempt_id uuid, agent_id uuid, previous_agent_id uuid, fence bigint, state text, cpu_millicores bigint,
    memory_mib bigint, cards jsonb, shape text, needs jsonb, lease_ms bigint, expected_end_ms bigint,
    reserved_ms bigint, begins_now boolean, released_ms bigint, ends_now boolean, plan_id text, task_id text)`;

const lease = `now() + w.lease_ms * interval '1 millisecond'`;
const expectedEnd = `to_timestamp(w.expected_end_ms / 1000.0)`;
const reservedAt = `CASE WHEN w.begins_now THEN now() ELSE to_timestamp(w.reserved_ms / 1000.0) END`;
const releasedAt = `CASE WHEN w.ends_now THEN now() ELSE to_timestamp(w.released_ms / 1000.0) END`;
const times = `
  floor(extract(epoch FROM r.lease_expires_at) * 1000)::bigint AS lease_expires_at,
  floor(extract(epoch FROM r.reserved_at) * 1000)::bigint AS reserved_at,
  floor(extract(epoch FROM r.released_at) * 1000)::bigint AS released_at, now() AS now`;

interface WrittenRow {
  readonly attempt_id: string;
  readonly lease_expires_at: number | null;
  readonly reserved_at: number;
  readonly released_at: number | null;
  readonly now: number;
}

const insertNew = defineStatement<WrittenRow>({
  name: "registry_insert_reservations",
  text: `
INSERT INTO reservations AS r (attempt_id, agent_id, fence, state, cpu_millicores, memory_mib, cards, shape, needs,
  lease_expires_at, expected_end_at, reserved_at, released_at, plan_id, task_id)
SELECT w.attempt_id, w.agent_id, w.fence, w.state, w.cpu_millicores, w.memory_mib, w.cards, w.shape, w.needs,
       ${lease}, ${expectedEnd}, ${reservedAt}, ${releasedAt}, w.plan_id, w.task_id
  FROM (${recordset}) AS w
ON CONFLICT (attempt_id) DO NOTHING
RETURNING r.attempt_id, ${times}`,
});

const updateKnown = defineStatement<WrittenRow>({
  name: "registry_update_reservations",
  text: `
UPDATE reservations r
   SET agent_id = w.agent_id, fence = w.fence, state = w.state, cpu_millicores = w.cpu_millicores,
       memory_mib = w.memory_mib, cards = w.cards, shape = w.shape, needs = w.needs, lease_expires_at = ${lease},
       expected_end_at = ${expectedEnd}, reserved_at = ${reservedAt}, released_at = ${releasedAt},
       plan_id = w.plan_id, task_id = w.task_id
  FROM (${recordset}) AS w
 WHERE r.attempt_id = w.attempt_id AND r.agent_id = w.previous_agent_id
RETURNING r.attempt_id, ${times}`,
});

/** Rolls the transaction back; never leaves this file. */
class ConflictError extends Error {
  readonly agentIds: readonly string[];
  readonly attemptIds: readonly string[];
  constructor(agentIds: readonly string[], attemptIds: readonly string[]) {
    super("another change came first");
    this.agentIds = agentIds;
    this.attemptIds = attemptIds;
  }
}

export async function commitReservations(db: Database, commit: ReservationCommit): Promise<CommitResult> {
  try {
    return await db.transaction((tx) => commitIn(tx, commit));
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    return { kind: "conflict", agentIds: error.agentIds, attemptIds: error.attemptIds };
  }
}

async function commitIn(tx: Transaction, { guards, writes }: ReservationCommit): Promise<CommitResult> {
  const moved = await tx.query(moveGuards, [
    guards.map((guard) => guard.agentId),
    guards.map((guard) => guard.version),
  ]);
  if (moved.length < guards.length) {
    const movedIds = new Set(moved.map((row) => row.agent_id));
    throw new ConflictError(
      guards.map((guard) => guard.agentId).filter((agentId) => !movedIds.has(agentId)),
      [],
    );
  }
  const isNew = ({ previousAgentId }: ReservationWrite): boolean => previousAgentId === null;
  const fresh = writes.filter(isNew);
  const known = writes.filter((write) => !isNew(write));
  const written = [
    ...(fresh.length === 0 ? [] : await tx.query(insertNew, [toJson(fresh.map(toRow))])),
    ...(known.length === 0 ? [] : await tx.query(updateKnown, [toJson(known.map(toRow))])),
  ];
  const byId = new Map(written.map((row) => [row.attempt_id, row]));
  const missed = writes.map(({ reservation }) => reservation.attemptId).filter((attemptId) => !byId.has(attemptId));
  if (missed.length > 0) throw new ConflictError([], missed);
  const [first] = written;
  if (first === undefined) throw new RangeError("a commit without writes");
  const reservations = writes.map((write) => {
    const row = byId.get(write.reservation.attemptId);
    if (row === undefined) throw new Error("a written row was not returned");
    return {
      ...write.reservation,
      leaseExpiresAtMs: row.lease_expires_at,
      reservedAtMs: row.reserved_at,
      releasedAtMs: row.released_at,
    };
  });
  return { kind: "committed", nowMs: first.now, reservations };
}

type WriteRow = Omit<ReservationJson, "lease_expires_at" | "expected_end_at" | "reserved_at" | "released_at"> & {
  readonly previous_agent_id: string | null;
  readonly lease_ms: number | null;
  readonly expected_end_ms: number | null;
  readonly reserved_ms: number;
  readonly begins_now: boolean;
  readonly released_ms: number | null;
  readonly ends_now: boolean;
};

function toRow({ reservation, leaseMs, previousAgentId, endsNow, beginsNow }: ReservationWrite): WriteRow {
  const { reserved, needs, expectedEndAtMs } = reservation;
  return {
    attempt_id: reservation.attemptId,
    agent_id: reservation.agentId,
    previous_agent_id: previousAgentId,
    fence: reservation.fence,
    state: reservation.state,
    cpu_millicores: reserved.cpuMillicores,
    memory_mib: reserved.memoryMib,
    cards: cardAmountsToJson(reserved.cards),
    shape: reservation.shape,
    needs: needs === null ? null : needsToJson(needs),
    lease_ms: leaseMs === null ? null : Math.round(leaseMs),
    expected_end_ms: expectedEndAtMs === null ? null : Math.round(expectedEndAtMs),
    reserved_ms: reservation.reservedAtMs,
    begins_now: beginsNow,
    released_ms: reservation.releasedAtMs,
    ends_now: endsNow,
    plan_id: reservation.planId,
    task_id: reservation.taskId,
  };
}
