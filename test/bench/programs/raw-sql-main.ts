/** The least that a guarded reservation can be: prepared statements on tables like the registry's own, and no service. */
import { createDatabase, type Database, defineStatement } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { randomUUID } from "node:crypto";
import { serveCommands } from "../support/child-side.ts";
import { median } from "../support/stats.ts";

const SLOTS_PER_AGENT = 16;
const CPU_MILLICORES = 1_000;
const MEMORY_MIB = 2_048;
const COLUMNS = `attempt_id, agent_id, fence, state, cpu_millicores, memory_mib, cards, shape, needs,
  lease_expires_at, reserved_at, plan_id, task_id`;
const CARDS = '[{"card_id":"GPU-5f2d9c1e-0000-4000-8000-000000000000","vram_mib":1024,"exclusive":false}]';
const NEEDS =
  '{"cpu_millicores":1000,"memory_mib":2048,"gpu_count":1,"gpu_vram_mib":1024,"gpu_exclusive":false,"gpu_models":[],"labels":{},"pool":null,"agent_id":null}';
// What differs from row to row in the registry is sent row by row here too.
const VALUES = `1, 'unconfirmed', w.cpu, w.memory, w.cards::jsonb, 'c1000m2048g1v1024', w.needs::jsonb,
  now() + interval '30 seconds', now(), 'bench', w.task_id`;

/** One statement, one commit. */
const reserveOne = defineStatement<{ readonly attempt_id: string }>({
  name: "bench_reserve_one",
  text: `
WITH moved AS (
  UPDATE bench_raw.guards SET version = version + 1, changed_at = now()
   WHERE agent_id = $1::uuid AND version = $2::bigint RETURNING agent_id)
INSERT INTO bench_raw.reservations (${COLUMNS})
SELECT $3::uuid, moved.agent_id, ${VALUES}
  FROM moved, (VALUES ($4::bigint, $5::bigint, $6::text, $7::text, $8::text)) AS w(cpu, memory, cards, needs, task_id)
RETURNING attempt_id`,
});

/** One statement, one commit, as for a single one. */
const reserveMany = defineStatement<{ readonly attempt_id: string }>({
  name: "bench_reserve_many",
  text: `
WITH moved AS (
  UPDATE bench_raw.guards g SET version = g.version + 1, changed_at = now()
    FROM unnest($1::uuid[], $2::bigint[]) AS e(agent_id, version)
   WHERE g.agent_id = e.agent_id AND g.version = e.version
  RETURNING g.agent_id)
INSERT INTO bench_raw.reservations (${COLUMNS})
SELECT w.attempt_id, w.agent_id, ${VALUES}
  FROM unnest($3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[])
    AS w(attempt_id, agent_id, cpu, memory, cards, needs, task_id)
  JOIN moved USING (agent_id)
RETURNING attempt_id`,
});

let opened: Database | null = null;
const agentIds: string[] = [];
const versions = new Map<string, number>();

function database(): Database {
  if (opened === null) throw new Error("prepare comes first");
  return opened;
}

async function reserveSingly(agentId: string): Promise<void> {
  const version = versions.get(agentId) ?? 0;
  const attemptId = randomUUID();
  const rows = await database().query(reserveOne, [
    agentId,
    version,
    attemptId,
    CPU_MILLICORES,
    MEMORY_MIB,
    CARDS,
    NEEDS,
    attemptId,
  ]);
  if (rows.length !== 1) throw new Error("the guard has moved");
  versions.set(agentId, version + 1);
}

/** A batch fills as few agents as it can, as the registry's own policy does. */
async function reserveInBatch(first: number, size: number): Promise<void> {
  const chosen = Array.from({ length: Math.ceil(size / SLOTS_PER_AGENT) }, (_, each) => agentAt(first + each));
  const attempts = Array.from({ length: size }, () => randomUUID());
  const owners = attempts.map((_, each) => chosen[Math.floor(each / SLOTS_PER_AGENT)]);
  const each = <T>(value: T): T[] => attempts.map(() => value);
  const rows = await database().query(reserveMany, [
    chosen,
    chosen.map((agentId) => versions.get(agentId) ?? 0),
    attempts,
    owners,
    each(CPU_MILLICORES),
    each(MEMORY_MIB),
    each(CARDS),
    each(NEEDS),
    attempts,
  ]);
  if (rows.length !== size) throw new Error("a guard has moved");
  for (const agentId of chosen) versions.set(agentId, (versions.get(agentId) ?? 0) + 1);
}

function agentAt(index: number): string {
  const agentId = agentIds[index % agentIds.length];
  if (agentId === undefined) throw new Error("no agents");
  return agentId;
}

serveCommands({
  /** Tables like the registry's; answers how long a commit takes on this machine, in milliseconds. */
  async prepare({ url, agents }: { readonly url: string; readonly agents: number }): Promise<number> {
    opened = createDatabase({
      connection: url,
      schema: "bench_raw",
      applicationName: "headroom-bench-raw",
      ports: systemPorts,
      logger: silentLogger,
    });
    for (const text of [
      "CREATE SCHEMA bench_raw",
      "CREATE TABLE bench_raw.guards (LIKE registry.agent_guards INCLUDING ALL) WITH (fillfactor = 50)",
      "CREATE TABLE bench_raw.reservations (LIKE registry.reservations INCLUDING ALL) WITH (fillfactor = 70)",
    ])
      await opened.query(defineStatement({ name: `bench_ddl_${text.length}`, text }), []);
    for (let each = 0; each < agents; each += 1) agentIds.push(randomUUID());
    const insert = defineStatement({
      name: "bench_insert_guards",
      text: "INSERT INTO bench_raw.guards (agent_id) SELECT unnest($1::uuid[])",
    });
    await opened.query(insert, [agentIds]);
    const commit = defineStatement({
      name: "bench_commit",
      text: "UPDATE bench_raw.guards SET changed_at = now() WHERE agent_id = $1::uuid",
    });
    const timesMs: number[] = [];
    for (let each = 0; each < 50; each += 1) {
      const startedAt = performance.now();
      await opened.query(commit, [agentAt(0)]);
      timesMs.push(performance.now() - startedAt);
    }
    return median(timesMs);
  },

  /** Reservations per second. */
  async reserve({ calls, size, concurrency }: { calls: number; size: number; concurrency: number }): Promise<number> {
    // Each lane has agents of its own: here nothing arbitrates, so nothing may collide.
    let next = 0;
    const startedAt = performance.now();
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        while (next < calls) {
          const each = next;
          next += 1;
          if (size === 1) await reserveSingly(agentAt(each));
          else await reserveInBatch(each * Math.ceil(size / SLOTS_PER_AGENT), size);
        }
      }),
    );
    return (calls * size * 1_000) / (performance.now() - startedAt);
  },
});
