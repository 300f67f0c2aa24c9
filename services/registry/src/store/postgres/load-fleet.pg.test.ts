import { createDatabase, type Database, migrate, type Queryable } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { REGISTRY_SCHEMA, registryMigrations } from "../../index.ts";
import { type AgentRow, PART_SIZE } from "./agent-row.ts";
import { loadFleet } from "./load-agents.ts";

let test: TestDatabase;
let db: Database & { close(): Promise<void> };

beforeAll(async () => {
  test = await createTestDatabase({ label: "load fleet" });
  const shared = { connection: test, schema: REGISTRY_SCHEMA, logger: silentLogger, ports: systemPorts };
  await migrate({ ...shared, migrations: registryMigrations });
  db = createDatabase({ ...shared, applicationName: "load-fleet-test" });
});
afterAll(async () => {
  await db?.close();
  await test?.drop();
});

/** Agents, each with so many tombstones. */
async function agentsWith(tombstones: readonly number[]): Promise<void> {
  for (const [index, count] of tombstones.entries()) {
    const agentId = `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
    await test.sql(
      `INSERT INTO registry.agents (agent_id, hostname, agent_type, pool_name, labels, version, platform)
       VALUES ($1, 'desk', 'desktop', 'default', '{}', '1', 'linux')`,
      [agentId],
    );
    await test.sql(
      `INSERT INTO registry.agent_liveness (agent_id, status, status_reason, status_since, epoch, attached, owner_hold)
       VALUES ($1, 'offline', '', now(), 1, false, false)`,
      [agentId],
    );
    await test.sql(`INSERT INTO registry.agent_guards (agent_id, version) VALUES ($1, 1)`, [agentId]);
    await test.sql(
      `INSERT INTO registry.reservations (attempt_id, agent_id, fence, state, cpu_millicores, memory_mib, cards, reserved_at, released_at, plan_id, task_id)
       SELECT gen_random_uuid(), $1, 1, 'released', 1, 1, '[]', now(), now(), '', '' FROM generate_series(1, $2::int)`,
      [agentId, count],
    );
  }
}

it("a fleet with many tombstones is loaded in portions, which hold about as many", async () => {
  const counts = [0, 12_000, 9_000, 0, 30_000, 1, 2, 3];
  await agentsWith(counts);
  const portions: (readonly AgentRow[])[] = [];
  const counting: Queryable = {
    ...db,
    async query(statement, values) {
      const rows = await db.query(statement, values);
      // The rows of this statement.
      if (statement.name === "registry_load_portion") portions.push(rows as unknown as readonly AgentRow[]);
      return rows;
    },
  };
  const agents = await loadFleet(counting, null);
  const found = new Map(agents.map(({ agentId, reservations }) => [Number(agentId.slice(-12)), reservations.size]));
  expect(counts.map((_, index) => found.get(index))).toEqual(counts);
  const agentsOf = portions.map((rows) => new Set(rows.map(({ agent_id }) => agent_id)).size);
  expect(agentsOf.reduce((sum, portion) => sum + portion)).toBe(counts.length);
  expect(portions.length).toBeGreaterThanOrEqual(3);
  // A row with all that an agent has could be more than PostgreSQL can put into one, and then no registry would start.
  expect(Math.max(...portions.flat().map(({ reservations }) => reservations.length))).toBe(PART_SIZE);
  expect(portions.flat().filter(({ agent_id }) => agent_id.endsWith("4"))).toHaveLength(30_000 / PART_SIZE);
});
