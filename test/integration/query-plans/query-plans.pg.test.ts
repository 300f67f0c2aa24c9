import { orchestratorMigrations, orchestratorSchema } from "@headroom/orchestrator";
import { createDatabase, type PooledDatabase, definedStatements, migrate } from "@headroom/postgres";
import { REGISTRY_SCHEMA, registryMigrations } from "@headroom/registry";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allowed } from "./allowed.ts";
import { fillTables } from "./large-tables.ts";
import { largeParts, type PlanNode } from "./read-plan.ts";
import { variantsOf } from "./variants.ts";

/** HEADROOM_QUERY_PLANS=full: a million finished tasks and 100,000 parked; else a tenth, on which the planner decides alike. */
const isFull = process.env["HEADROOM_QUERY_PLANS"] === "full";
const sizes = isFull ? { finished: 1_000_000, parked: 100_000 } : { finished: 100_000, parked: 10_000 };
/** A table is large when it grows with the work that was done, or with the fleet; a statement reads much when it reads a fifth of what is parked. */
const leastLargeRows = 5_000;
const mostRows = sizes.parked / 5;
const fillMs = isFull ? 1_800_000 : 180_000;

let database: TestDatabase;
const schemas: PooledDatabase[] = [];
const rowsOf = new Map<string, number>();

beforeAll(async () => {
  database = await createTestDatabase({ label: "query_plans" });
  for (const [schema, migrations] of [
    [orchestratorSchema, orchestratorMigrations],
    [REGISTRY_SCHEMA, registryMigrations],
  ] as const) {
    await migrate({ connection: database, schema, migrations, logger: silentLogger, ports: systemPorts });
  }
  const startedMs = performance.now();
  await fillTables((text, values) => database.sql(text, values), sizes);
  console.log(
    `${sizes.finished} finished and ${sizes.parked} parked tasks in ${Math.round((performance.now() - startedMs) / 1_000)} s`,
  );
  for (const schema of [orchestratorSchema, REGISTRY_SCHEMA]) {
    schemas.push(
      createDatabase({
        connection: database,
        schema,
        applicationName: "query-plans",
        logger: silentLogger,
        ports: systemPorts,
      }),
    );
  }
  const rows = await database.sql<{ name: string; rows: number }>(
    `SELECT relname AS name, reltuples::double precision AS rows FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('orchestrator', 'registry') AND c.relkind = 'r'`,
  );
  for (const row of rows) rowsOf.set(row.name, row.rows);
}, fillMs);

afterAll(async () => {
  for (const schema of schemas) await schema.close();
  await database?.drop();
});

/** The plan for whatever values may come. */
async function explain(text: string): Promise<PlanNode> {
  let problem: unknown;
  for (const { knex } of schemas) {
    try {
      const { rows }: { rows: readonly [{ "QUERY PLAN": readonly [{ readonly Plan: PlanNode }] }] } = await knex.raw(
        `EXPLAIN (FORMAT JSON, GENERIC_PLAN) ${text}`,
      );
      return rows[0]["QUERY PLAN"][0].Plan;
    } catch (error) {
      problem ??= error;
    }
  }
  throw problem;
}

const largeTables = [
  ...["tasks", "attempts", "pause_queue", "events", "plans", "reservations", "task_output"],
  ...["agents", "agent_guards", "agent_liveness", "agent_samples"],
];
const isLarge = (table: string): boolean => (rowsOf.get(table) ?? 0) >= leastLargeRows;

describe("hot statements over large tables", () => {
  it("the tables are large, and every statement of both services is known", () => {
    for (const table of largeTables) {
      expect([table, isLarge(table)]).toEqual([table, true]);
    }
    const names = definedStatements().map(({ name }) => name);
    expect(names.length).toBeGreaterThan(60);
    expect(Object.keys(allowed).filter((name) => !names.includes(name))).toEqual([]);
  });

  it.each(definedStatements().map((statement) => [statement.name, statement] as const))(
    "DESIGN 5: %s reads no large table as a whole",
    async (name, statement) => {
      const found: string[] = [];
      const plans: PlanNode[] = [];
      for (const { label, text } of variantsOf(statement.text)) {
        const plan = await explain(text);
        plans.push(plan);
        for (const { table, how } of largeParts(plan, isLarge, mostRows)) {
          found.push(`${label}: ${how} of ${table}`);
        }
      }
      if (allowed[name] === undefined) expect(found, JSON.stringify(plans)).toEqual([]);
      else if (found.length === 0) console.log(`${name} needs no exemption any more`);
    },
  );
});
