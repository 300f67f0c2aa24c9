import type { RunSql } from "../../support/run-sql.ts";

export interface Sizes {
  /** Tasks that have ended, each with its plan's share, an attempt, a queue row and four events. */
  readonly finished: number;
  readonly parked: number;
}

/** Tasks of one plan. */
const perPlan = 4;

/**
 * Fills the tables of both services as years of work would, and takes their statistics. Foreign keys and triggers are not looked at while
 * it does: the rows are consistent as they are written.
 */
export async function fillTables(sql: RunSql, { finished, parked }: Sizes): Promise<void> {
  const total = finished + parked;
  await sql(`
    SET session_replication_role = replica;
    SET synchronous_commit = off;
    SET search_path = orchestrator;

    CREATE TEMP TABLE made AS
      SELECT n, gen_random_uuid() AS task_id, gen_random_uuid() AS attempt_id, n > ${finished} AS is_parked,
             n / ${perPlan} AS plan_number, n % ${perPlan} AS position,
             now() - (${total} - n) * interval '20 seconds' AS at
        FROM generate_series(1, ${total}) AS n;
    CREATE TEMP TABLE made_plans AS
      SELECT plan_number, gen_random_uuid() AS plan_id, count(*) AS tasks, count(*) FILTER (WHERE is_parked) AS unfinished, min(at) AS at
        FROM made GROUP BY plan_number;

    INSERT INTO plans (plan_id, name, namespace, priority, labels, request_id, request_hash, total_tasks, unfinished_tasks, outcome,
                       created_at, finished_at)
    SELECT plan_id, 'plan ' || plan_number % 50, 'default', 0, '{}', gen_random_uuid(), '', tasks, unfinished,
           CASE WHEN unfinished > 0 THEN NULL WHEN plan_number % 5 = 0 THEN 'failed' WHEN plan_number % 8 = 0 THEN 'cancelled' ELSE 'succeeded' END, at, CASE WHEN unfinished = 0 THEN at END
      FROM made_plans;

    INSERT INTO tasks (task_id, plan_id, name, position, state, priority, needs, shape_key, uses_gpu, command, depends_remaining,
                       max_attempts, retry_on_failure, work_lease_ms, attempts_made, runs_used, attempt_id, fence, created_at, finished_at)
    SELECT m.task_id, p.plan_id, 'task-' || m.position, m.position,
           CASE WHEN is_parked THEN 'paused' WHEN n % 20 = 0 THEN 'failed' WHEN n % 33 = 0 THEN 'cancelled' ELSE 'succeeded' END,
           n % 4,
           jsonb_build_object('cpuMillicores', 1000 * (1 + n % 8), 'memoryMib', 1024, 'gpuCount', n % 2, 'gpuVramMib', 4096 * (n % 2),
             'gpuExclusive', false, 'gpuModels', '[]'::jsonb, 'labels', '{}'::jsonb, 'pool', null, 'agentId', null),
           'shape ' || n % 40, n % 2 = 1, '{"argv": ["true"], "env": {}}', 0, 3, false, 300000,
           CASE WHEN is_parked THEN 0 ELSE 1 END, CASE WHEN is_parked THEN 0 ELSE 1 END,
           CASE WHEN is_parked THEN NULL ELSE m.attempt_id END, 1, m.at, CASE WHEN is_parked THEN NULL ELSE m.at END
      FROM made m JOIN made_plans p USING (plan_number);

    INSERT INTO attempts (attempt_id, task_id, plan_id, agent_id, number, fence, state, reserved, card_indexes, work_lease_ms, assigned_at,
                          reservation_expires_at, sent_at, accepted_at, started_at, finished_at, lease_expires_at, exit_code)
    SELECT m.attempt_id, m.task_id, p.plan_id, ('00000000-0000-4000-8000-' || lpad((n % 10000)::text, 12, '0'))::uuid, 1, 1,
           CASE WHEN n > ${finished - 500} THEN 'running' WHEN n % 20 = 0 THEN 'failed' ELSE 'succeeded' END,
           '{"cpuMillicores": 1000, "memoryMib": 1024, "cards": []}', '[]', 300000, m.at, m.at, m.at, m.at, m.at, m.at, m.at, 0
      FROM made m JOIN made_plans p USING (plan_number) WHERE NOT is_parked;

    INSERT INTO pause_queue (task_id, plan_id, work_plan_json, paused_at, status, resumed_at, last_checked, reason, blocked, priority,
                             shape_key, uses_gpu, resume_after)
    SELECT m.task_id, p.plan_id, '{}', m.at, CASE WHEN is_parked THEN 'waiting' ELSE 'resumed' END,
           CASE WHEN is_parked THEN NULL ELSE m.at END, m.at,
           CASE WHEN n % 10 = 0 THEN 'DEPENDENCY_PENDING' ELSE 'NO_AGENT_FITS_NOW' END, n % 10 = 0, n % 4, 'shape ' || n % 40, n % 2 = 1,
           CASE WHEN is_parked AND n % 50 = 0 THEN now() + interval '1 hour' END
      FROM made m JOIN made_plans p USING (plan_number);

    INSERT INTO events (at, plan_id, task_id, task_name, attempt_id, kind, from_state, to_state, actor)
    SELECT m.at, p.plan_id, m.task_id, 'task-' || m.position, m.attempt_id, kind, 'paused', 'running', 'agent'
      FROM made m JOIN made_plans p USING (plan_number), unnest(ARRAY['TASK_PAUSED', 'TASK_ASSIGNED', 'TASK_STARTED', 'TASK_SUCCEEDED']) AS kind;

    INSERT INTO task_dependencies (task_id, depends_on_task_id)
    SELECT second.task_id, first.task_id
      FROM made first JOIN made second ON second.n = first.n + 1 AND second.plan_number = first.plan_number
     WHERE first.n % 10 <> 0;

    INSERT INTO task_output (attempt_id, seq, stream, at, data)
    SELECT attempt_id, seq, 'stdout', at, 'x' FROM made, generate_series(1, 2) AS seq WHERE NOT is_parked AND n % 5 = 0;

    SET search_path = registry;
    INSERT INTO reservations (attempt_id, agent_id, fence, state, cpu_millicores, memory_mib, cards, reserved_at, released_at)
    SELECT attempt_id, ('00000000-0000-4000-8000-' || lpad((n % 10000)::text, 12, '0'))::uuid, 1,
           CASE WHEN n > ${finished - 500} THEN 'confirmed' ELSE 'released' END, 1000, 1024, '[]', at,
           CASE WHEN n > ${finished - 500} THEN NULL ELSE at END
      FROM made WHERE NOT is_parked AND n > ${finished - Math.min(finished, 100_000)};
    INSERT INTO agents (agent_id, hostname, agent_type, pool_name, version, platform)
    SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'host-' || n, 'desktop', 'default', '0.1.0', 'linux x64'
      FROM generate_series(0, 9999) AS n;
    INSERT INTO agent_guards (agent_id) SELECT agent_id FROM agents;
    INSERT INTO agent_liveness (agent_id, status, status_reason, status_since, epoch, attached, owner_hold)
    SELECT agent_id, 'online', 'hello', now(), 1, true, false FROM agents;
    INSERT INTO agent_samples (agent_id, sampled_at, cpu_total_millicores, cpu_available_millicores, cpu_offer_millicores, cpu_declared,
      cpu_load_percent, memory_total_mib, memory_available_mib, memory_offer_mib, memory_declared, gpu_count, gpu_models, vram_total_mib,
      vram_available_mib, vram_offer_mib, cards, attempts)
    SELECT agent_id, now(), 8000, 8000, 8000, true, 0, 16384, 16384, 16384, true, 0, '', 0, 0, 0, '[]', '[]' FROM agents`);
  // Autovacuum would have done both long ago.
  for (const table of await tables(sql)) await sql(`VACUUM (ANALYZE) ${table}`);
}

async function tables(sql: RunSql): Promise<readonly string[]> {
  const rows = await sql<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('orchestrator', 'registry')`,
  );
  return rows.map(({ name }) => name);
}
