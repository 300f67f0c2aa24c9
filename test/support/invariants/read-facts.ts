import type { AttemptState, Needs, PauseState, TaskState } from "@headroom/scheduling";
import type { AttemptFact, EventFact, Facts, MachineFact, PauseFact, PlanFact, TaskFact } from "./facts.ts";
import { readChanges } from "./read-changes.ts";
import type { RunSql } from "../run-sql.ts";

/** What PostgreSQL knows; the rest (what really ran, what callers were told) comes from elsewhere. */
export type StoredFacts = Pick<
  Facts,
  "plans" | "tasks" | "attempts" | "pauses" | "events" | "changes" | "machines" | "untilMs"
>;

/** Reads everything after all has come to rest: the tables are read one after another. */
export async function readFacts(sql: RunSql): Promise<StoredFacts> {
  const [clock] = await sql<{ ms: number }>(
    `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS ms`,
  );
  return {
    plans: await readPlans(sql),
    tasks: await readTasks(sql),
    attempts: await readAttempts(sql),
    pauses: await readPauses(sql),
    events: await readEvents(sql),
    changes: await readChanges(sql),
    machines: await readMachines(sql),
    untilMs: clock!.ms,
  };
}

async function readPlans(sql: RunSql): Promise<readonly PlanFact[]> {
  const rows = await sql<{
    plan_id: string;
    name: string;
    total_tasks: number;
    unfinished_tasks: number;
    outcome: string | null;
    trimmed: string;
  }>(
    `SELECT plan_id, name, total_tasks, unfinished_tasks, outcome, events_trimmed_through AS trimmed FROM orchestrator.plans`,
  );
  return rows.map((row) => ({
    planId: row.plan_id,
    name: row.name,
    totalTasks: row.total_tasks,
    unfinishedTasks: row.unfinished_tasks,
    outcome: row.outcome,
    trimmedThrough: Number(row.trimmed),
  }));
}

async function readTasks(sql: RunSql): Promise<readonly TaskFact[]> {
  const rows = await sql<{
    task_id: string;
    plan_id: string;
    name: string;
    state: TaskState;
    priority: number;
    rank: number;
    created_ms: number;
    needs: Needs;
    fence: string;
    attempt_id: string | null;
    max_attempts: number;
    retry_on_failure: boolean;
    hold_unknown: boolean;
    wait_timeout_ms: string | null;
    depends_on: readonly string[];
  }>(`SELECT task_id, plan_id, name, state, priority, rank, (extract(epoch FROM created_at) * 1000)::double precision AS created_ms, needs, fence,
            attempt_id, max_attempts, retry_on_failure, hold_unknown, wait_timeout_ms,
            ARRAY(SELECT d.depends_on_task_id::text FROM orchestrator.task_dependencies d WHERE d.task_id = t.task_id) AS depends_on
       FROM orchestrator.tasks t`);
  return rows.map((row) => ({
    taskId: row.task_id,
    planId: row.plan_id,
    name: row.name,
    state: row.state,
    priority: row.priority,
    rank: row.rank,
    createdAtMs: row.created_ms,
    needs: row.needs,
    fence: Number(row.fence),
    attemptId: row.attempt_id,
    maxAttempts: row.max_attempts,
    retryOnFailure: row.retry_on_failure,
    holdUnknown: row.hold_unknown,
    waitTimeoutMs: row.wait_timeout_ms === null ? null : Number(row.wait_timeout_ms),
    dependsOn: row.depends_on,
  }));
}

async function readAttempts(sql: RunSql): Promise<readonly AttemptFact[]> {
  const rows = await sql<{
    attempt_id: string;
    task_id: string;
    agent_id: string;
    number: number;
    fence: string;
    state: AttemptState;
    reason: string;
  }>(`SELECT attempt_id, task_id, agent_id, number, fence, state, reason FROM orchestrator.attempts`);
  return rows.map((row) => ({
    attemptId: row.attempt_id,
    taskId: row.task_id,
    agentId: row.agent_id,
    number: row.number,
    fence: Number(row.fence),
    state: row.state,
    reason: row.reason,
  }));
}

async function readPauses(sql: RunSql): Promise<readonly PauseFact[]> {
  const rows = await sql<{ pause_queue_id: string; task_id: string; status: PauseState }>(
    `SELECT pause_queue_id, task_id, status FROM orchestrator.pause_queue`,
  );
  return rows.map((row) => ({ pauseQueueId: row.pause_queue_id, taskId: row.task_id, status: row.status }));
}

async function readEvents(sql: RunSql): Promise<readonly EventFact[]> {
  const rows = await sql<{
    event_id: string;
    plan_id: string;
    task_id: string | null;
    attempt_id: string | null;
    kind: string;
    from_state: string | null;
    to_state: string | null;
  }>(
    `SELECT event_id, plan_id, task_id, attempt_id, kind, from_state, to_state FROM orchestrator.events ORDER BY event_id`,
  );
  return rows.map((row) => ({
    eventId: Number(row.event_id),
    planId: row.plan_id,
    taskId: row.task_id,
    attemptId: row.attempt_id,
    kind: row.kind,
    from: row.from_state,
    to: row.to_state,
  }));
}

async function readMachines(sql: RunSql): Promise<readonly MachineFact[]> {
  const rows = await sql<{
    agent_id: string;
    cpu: string;
    memory: string;
    cards: readonly { readonly card_id: string; readonly vram_total_mib: number; readonly vram_offer_mib: number }[];
    labels: Readonly<Record<string, string>>;
  }>(
    `SELECT agent_id, least(cpu_total_millicores, cpu_offer_millicores) AS cpu,
            least(memory_total_mib, memory_offer_mib) AS memory, cards, labels
       FROM registry.agent_samples JOIN registry.agents USING (agent_id)`,
  );
  return rows.map((row) => ({
    agentId: row.agent_id,
    cpuMillicores: Number(row.cpu),
    memoryMib: Number(row.memory),
    cards: row.cards.map((card) => ({
      cardId: card.card_id,
      vramMib: Math.min(card.vram_total_mib, card.vram_offer_mib),
    })),
    labels: row.labels,
  }));
}
