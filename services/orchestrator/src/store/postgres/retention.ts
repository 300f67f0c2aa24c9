import { classifyError, type Database, defineStatement, type Transaction } from "@headroom/postgres";
import type { HistoryAge, Trimmed } from "../port.ts";
import { waitBriefly } from "./lock-wait.ts";

/** By the earlier of two clocks, so long before now; both are parameters. */
const longAgo = (ms: string, nowAtMost: string): string =>
  `least(now(), to_timestamp(${nowAtMost}::double precision / 1000)) - ${ms} * interval '1 millisecond'`;

interface OldRow {
  readonly event_id: number;
  readonly plan_id: string;
}

/** The oldest events in the order of their ids, which is the order in which they were written: the first ones say whether any is old enough. */
const findOldEvents = defineStatement<OldRow>({
  name: "events_find_old",
  text: `
    WITH oldest AS MATERIALIZED (SELECT event_id, plan_id, at FROM events WHERE plan_id <> ALL($3::uuid[]) ORDER BY event_id LIMIT $2)
    SELECT event_id, plan_id FROM oldest WHERE at < ${longAgo("$1", "$4")}`,
});

/** Locks these plans as `lockPlans` does, but for those that somebody else has locked: answers them. */
const lockFreePlans = defineStatement<{ readonly plan_id: string }>({
  name: "plans_lock_free",
  text: `
    WITH free AS MATERIALIZED (
      SELECT plan_id FROM plans WHERE plan_id = ANY($1::uuid[]) ORDER BY plan_id FOR NO KEY UPDATE SKIP LOCKED)
    SELECT plan_id FROM plans WHERE plan_id = ANY($1::uuid[]) AND plan_id <> ALL (ARRAY(SELECT plan_id FROM free))`,
});

const deleteEvents = defineStatement<OldRow>({
  name: "events_delete",
  text: `DELETE FROM events WHERE event_id = ANY($1::bigint[]) RETURNING event_id, plan_id`,
});

/** Whoever watches the plan from before is told of the gap. */
const noteTrimmed = defineStatement({
  name: "plans_note_trimmed",
  text: `
    UPDATE plans p SET events_trimmed_through = greatest(p.events_trimmed_through, g.last)
      FROM unnest($1::uuid[], $2::bigint[]) AS g(plan_id, last)
     WHERE p.plan_id = g.plan_id`,
});

const findOldPlan = defineStatement<{ readonly plan_id: string }>({
  name: "plans_find_old",
  text: `
    SELECT plan_id FROM plans
     WHERE finished_at < ${longAgo("$1", "$3")} AND plan_id <> ALL($2::uuid[])
     ORDER BY finished_at
     LIMIT 1`,
});

/** Retried since it was found, or taken by another replica or somebody else: left alone. */
const lockOldPlan = defineStatement<{ readonly plan_id: string }>({
  name: "plans_lock_old",
  text: `
    SELECT plan_id FROM plans
     WHERE plan_id = $1 AND finished_at < ${longAgo("$2", "$3")}
       FOR UPDATE SKIP LOCKED`,
});

/** Whoever still writes output of an attempt is waited for, briefly, and finds it gone. */
const lockAttempts = defineStatement({
  name: "attempts_lock_old_plan",
  text: `SELECT FROM attempts a JOIN tasks t ON t.task_id = a.task_id WHERE t.plan_id = $1 FOR UPDATE OF a`,
});

/** What a plan has most of, in portions. */
const trimOutput = defineStatement({
  name: "task_output_trim_plan",
  text: `
    DELETE FROM task_output
     WHERE (attempt_id, seq) IN (
           SELECT o.attempt_id, o.seq FROM attempts a JOIN tasks t ON t.task_id = a.task_id JOIN task_output o ON o.attempt_id = a.attempt_id
            WHERE t.plan_id = $1 LIMIT $2)`,
});

const trimEventsOfPlan = defineStatement({
  name: "events_trim_plan",
  text: `DELETE FROM events WHERE event_id IN (SELECT event_id FROM events WHERE plan_id = $1 ORDER BY event_id LIMIT $2)`,
});

/** The rest, children first: bounded by what a plan may have, 10,000 tasks. */
const rest = [
  { name: "pause_queue", text: `DELETE FROM pause_queue WHERE plan_id = $1` },
  {
    name: "task_dependencies",
    text: `DELETE FROM task_dependencies d USING tasks t WHERE t.plan_id = $1 AND d.task_id = t.task_id`,
  },
  { name: "attempts", text: `DELETE FROM attempts a USING tasks t WHERE t.plan_id = $1 AND a.task_id = t.task_id` },
  { name: "tasks", text: `DELETE FROM tasks WHERE plan_id = $1` },
  { name: "plans", text: `DELETE FROM plans WHERE plan_id = $1` },
].map(({ name, text }) => defineStatement({ name: `${name}_delete_plan`, text }));

const forgetDurations = defineStatement({
  name: "task_durations_forget",
  text: `
    DELETE FROM task_durations
     WHERE (plan_name, task_name) IN (
           SELECT plan_name, task_name FROM task_durations
            WHERE updated_at < ${longAgo("$1", "$3")} ORDER BY updated_at LIMIT $2)`,
});

/**
 * One portion. Any number of replicas may do this at once. What somebody keeps locked is left out, so that the others do not stay behind it
 * for as long as that lasts.
 */
export async function trimHistory(
  db: Database,
  olderThan: HistoryAge,
  limit: number,
  exceptPlanIds: readonly string[],
): Promise<Trimmed> {
  const { ms, nowAtMostMs } = olderThan;
  const old = await db.query(findOldEvents, [ms, limit, exceptPlanIds, nowAtMostMs]);
  if (old.length > 0) return trimEvents(db, old);
  const [plan] = await db.query(findOldPlan, [ms, exceptPlanIds, nowAtMostMs]);
  if (plan !== undefined) return trimPlan(db, plan.plan_id, olderThan, limit);
  return { isTrimmed: (await db.execute(forgetDurations, [ms, limit, nowAtMostMs])) > 0, leftOut: [] };
}

function trimEvents(db: Database, old: readonly OldRow[]): Promise<Trimmed> {
  return db.transaction(async (tx) => {
    const inUse = new Set((await tx.query(lockFreePlans, [[...new Set(old.map((row) => row.plan_id))]])).map(planIdOf));
    const free = old.filter((row) => !inUse.has(row.plan_id));
    const last = new Map<string, number>();
    for (const row of await tx.query(deleteEvents, [free.map(({ event_id: id }) => id)])) {
      last.set(row.plan_id, Math.max(row.event_id, last.get(row.plan_id) ?? 0));
    }
    await tx.execute(noteTrimmed, [[...last.keys()], [...last.values()]]);
    return { isTrimmed: free.length > 0, leftOut: [...inUse].map((planId) => ({ planId, error: null })) };
  });
}

function planIdOf(row: { readonly plan_id: string }): string {
  return row.plan_id;
}

async function trimPlan(db: Database, planId: string, olderThan: HistoryAge, limit: number): Promise<Trimmed> {
  try {
    const isTrimmed = await db.transaction((tx) => trimLocked(tx, planId, olderThan, limit));
    return { isTrimmed, leftOut: isTrimmed ? [] : [{ planId, error: null }] };
  } catch (error) {
    if (classifyError(error).kind !== "conflict") throw error;
    return { isTrimmed: false, leftOut: [{ planId, error }] };
  }
}

async function trimLocked(
  tx: Transaction,
  planId: string,
  { ms, nowAtMostMs }: HistoryAge,
  limit: number,
): Promise<boolean> {
  await waitBriefly(tx);
  const [plan] = await tx.query(lockOldPlan, [planId, ms, nowAtMostMs]);
  if (plan === undefined) return false;
  await tx.execute(lockAttempts, [planId]);
  if ((await tx.execute(trimOutput, [planId, limit])) > 0) return true;
  if ((await tx.execute(trimEventsOfPlan, [planId, limit])) > 0) return true;
  for (const statement of rest) await tx.execute(statement, [planId]);
  return true;
}
