import { type Database, defineStatement, type Queryable } from "@headroom/postgres";
import type { RoomHold } from "@headroom/scheduling";
import { appendEvents } from "./events.ts";
import { lockPlan } from "./lock-plans.ts";

interface HoldRow {
  readonly task_id: string;
  readonly agent_id: string;
  readonly ready_in_ms: number | null;
  readonly left_ms: number;
  readonly lasts_ms: number;
  readonly times: number;
}

const selectHolds = defineStatement<HoldRow>({
  name: "room_holds_list",
  text: `
    SELECT task_id, agent_id, (extract(epoch FROM ready_at - now()) * 1000)::double precision AS ready_in_ms,
           (extract(epoch FROM expires_at - now()) * 1000)::double precision AS left_ms,
           (extract(epoch FROM expires_at - granted_at) * 1000)::double precision AS lasts_ms, times
      FROM room_holds
     ORDER BY granted_at`,
});

export async function roomHolds(db: Queryable): Promise<readonly RoomHold[]> {
  return (await db.query(selectHolds)).map((row) => ({
    taskId: row.task_id,
    agentId: row.agent_id,
    readyInMs: row.ready_in_ms,
    leftMs: row.left_ms,
    lastsMs: row.lasts_ms,
    times: row.times,
  }));
}

const planOfTask = defineStatement<{ readonly plan_id: string }>({
  name: "room_holds_plan",
  text: `SELECT plan_id FROM tasks WHERE task_id = $1`,
});

const waitingTask = defineStatement<{ readonly name: string }>({
  name: "tasks_waiting_for_hold",
  text: `
    SELECT t.name FROM tasks t JOIN pause_queue q ON q.task_id = t.task_id AND q.status = 'waiting' AND NOT q.blocked
     WHERE t.task_id = $1`,
});

// Two replicas may choose at the same moment, by what each has read: the agent and the task are each kept once, and no more agents than may be.
const insertHold = defineStatement({
  name: "room_holds_insert",
  text: `
    INSERT INTO room_holds AS h (task_id, agent_id, ready_at, expires_at, times)
    SELECT $1, $2, now() + $3 * interval '1 millisecond', now() + $4 * interval '1 millisecond', $5
     WHERE NOT EXISTS (SELECT 1 FROM room_holds other WHERE other.agent_id = $2 AND other.expires_at > now() AND other.task_id <> $1)
       AND (SELECT count(*) FROM room_holds other WHERE other.expires_at > now() AND other.task_id <> $1) < $6
        ON CONFLICT (task_id) DO UPDATE
       SET agent_id = excluded.agent_id, granted_at = now(), ready_at = excluded.ready_at, expires_at = excluded.expires_at,
           times = excluded.times
     WHERE h.expires_at <= now()`,
});

/** One at a time, over all replicas, until the end of the transaction. */
const lockHolds = defineStatement({
  name: "room_holds_lock",
  text: `SELECT pg_advisory_xact_lock(hashtext('headroom room_holds'))`,
});

/** False: its task waits no more, somebody else was first, or so many are kept already. */
export async function keepRoom(db: Database, hold: RoomHold, sentence: string, atMost: number): Promise<boolean> {
  const [plan] = await db.query(planOfTask, [hold.taskId]);
  if (plan === undefined) return false;
  return db.transaction(async (tx) => {
    await lockPlan(tx, plan.plan_id);
    // Only under the plan's lock is it certain that it waits: before, somebody may have been about to resume it.
    const [task] = await tx.query(waitingTask, [hold.taskId]);
    if (task === undefined) return false;
    await tx.execute(lockHolds);
    const { taskId, agentId, readyInMs, lastsMs, times } = hold;
    const written = await tx.execute(insertHold, [taskId, agentId, readyInMs, lastsMs, times, atMost]);
    if (written === 0) return false;
    await appendEvents(tx, [
      {
        planId: plan.plan_id,
        taskId: hold.taskId,
        taskName: task.name,
        agentId: hold.agentId,
        kind: "TASK_ROOM_KEPT",
        fromState: "paused",
        toState: "paused",
        sentence,
        actor: "orchestrator",
      },
    ]);
    return true;
  });
}

const endHolds = defineStatement({
  name: "room_holds_end",
  text: `
    DELETE FROM room_holds h
     WHERE h.expires_at + 3 * (h.expires_at - h.granted_at) <= now()
        OR (h.expires_at > now() AND h.agent_id = ANY ($1::uuid[]))
        OR NOT EXISTS (SELECT 1 FROM pause_queue q WHERE q.task_id = h.task_id AND q.status = 'waiting' AND NOT q.blocked)`,
});

/**
 * Ends what is over: its task waits for room no more, or its agent is one of these. That a task has rested is remembered for twice as long as it had to: the
 * next hold lasts longer than the one before.
 */
export function endRoomHolds(db: Queryable, agentIds: readonly string[]): Promise<number> {
  return db.execute(endHolds, [agentIds]);
}
