import { defineStatement, type Queryable, type Transaction } from "@headroom/postgres";
import type { PauseReason, TaskState } from "@headroom/scheduling";
import type { Actor, CallTrace, EventRecord, PlanEvents } from "../model.ts";

export interface NewEvent {
  readonly planId: string;
  readonly taskId?: string;
  readonly taskName?: string;
  readonly attemptId?: string;
  readonly agentId?: string;
  readonly kind: string;
  readonly fromState?: TaskState;
  readonly toState?: TaskState;
  readonly pauseReason?: PauseReason;
  readonly sentence?: string;
  readonly actor: Actor;
  /** Absent: no call caused it. */
  readonly call?: CallTrace;
}

/** The rows that `events` takes, and their `ordinality`, from a parameter that holds NewEvents as JSON. */
export const newEventsFrom = (parameter: string): string => `
    SELECT e."planId" AS plan_id, e."taskId" AS task_id, coalesce(e."taskName", '') AS task_name, e."attemptId" AS attempt_id, e."agentId" AS agent_id,
           e.kind, e."fromState" AS from_state, e."toState" AS to_state, e."pauseReason" AS pause_reason, coalesce(e.sentence, '') AS sentence,
           e.actor, coalesce(e.call->>'requestId', '') AS request_id, coalesce(e.call->>'traceparent', '') AS traceparent, e.ordinality
      FROM ROWS FROM (jsonb_to_recordset(${parameter}::jsonb) AS (
           "planId" uuid, "taskId" uuid, "taskName" text, "attemptId" uuid, "agentId" uuid, kind text, "fromState" text,
           "toState" text, "pauseReason" text, sentence text, actor text, call jsonb)) WITH ORDINALITY AS e`;

const insertEvents = defineStatement({
  name: "events_insert",
  text: `
    INSERT INTO events (plan_id, task_id, task_name, attempt_id, agent_id, kind, from_state, to_state, pause_reason, sentence, actor, request_id, traceparent)
    SELECT plan_id, task_id, task_name, attempt_id, agent_id, kind, from_state, to_state, pause_reason, sentence, actor, request_id, traceparent
      FROM (${newEventsFrom("$1")}) AS e
     ORDER BY e.ordinality`,
});

/** Appends to the history. The plans must be locked (`lockPlans`). */
export async function appendEvents(tx: Transaction, events: readonly NewEvent[]): Promise<void> {
  if (events.length > 0) await tx.execute(insertEvents, [JSON.stringify(events)]);
}

interface EventRow {
  readonly trimmed_through: number;
  /** Null, as all that follows: the plan has no such event. */
  readonly event_id: number | null;
  readonly at: number;
  readonly plan_id: string;
  readonly task_id: string | null;
  readonly task_name: string;
  readonly attempt_id: string | null;
  readonly agent_id: string | null;
  readonly kind: string;
  readonly from_state: TaskState | null;
  readonly to_state: TaskState | null;
  readonly pause_reason: PauseReason | null;
  readonly sentence: string;
  readonly actor: string;
  readonly request_id: string;
  readonly traceparent: string;
}

const selectEvents = defineStatement<EventRow>({
  name: "events_after",
  text: `
    SELECT p.events_trimmed_through AS trimmed_through, p.plan_id, e.*
      FROM plans p
      LEFT JOIN LATERAL (
           SELECT event_id, at, task_id, task_name, attempt_id, agent_id, kind, from_state, to_state, pause_reason, sentence, actor,
                  request_id, traceparent
             FROM events
            WHERE plan_id = $1 AND event_id > $2 AND ($4::uuid IS NULL OR task_id = $4)
            ORDER BY event_id
            LIMIT $3) AS e ON true
     WHERE p.plan_id = $1
     ORDER BY e.event_id`,
});

/** One statement sees one moment: between two, events could be deleted that the first does not tell of. */
export async function eventsAfter(
  db: Queryable,
  planId: string,
  afterEventId: number,
  limit: number,
  taskId: string | null = null,
): Promise<PlanEvents | null> {
  const rows = await db.query(selectEvents, [planId, afterEventId, limit, taskId]);
  const [first] = rows;
  if (first === undefined) return null;
  const events = rows.flatMap((row) => (row.event_id === null ? [] : [eventFromRow(row, row.event_id)]));
  return { events, trimmedThrough: first.trimmed_through };
}

function eventFromRow(row: EventRow, eventId: number): EventRecord {
  return {
    eventId,
    atMs: row.at,
    planId: row.plan_id,
    taskId: row.task_id,
    taskName: row.task_name,
    attemptId: row.attempt_id,
    agentId: row.agent_id,
    kind: row.kind,
    fromState: row.from_state,
    toState: row.to_state,
    pauseReason: row.pause_reason,
    sentence: row.sentence,
    actor: row.actor,
    requestId: row.request_id,
    traceparent: row.traceparent,
  };
}
