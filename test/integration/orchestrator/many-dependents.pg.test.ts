/** A task on which thousands depend, in a database whose statistics know of chains only: what ends it stays within the limit of a statement. */
import {
  createPostgresStore,
  orchestratorMigrations,
  orchestratorSchema,
  type OrchestratorStore,
} from "@headroom/orchestrator";
import { createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createStoreDesk, newTask, succeed } from "../../conformance/orchestrator-store/desk.ts";

let database: TestDatabase;
let pool: PooledDatabase;
let store: OrchestratorStore;
const desk = createStoreDesk(() => store);
const waits = { reason: "DEPENDENCY_PENDING", sentence: "waits", blocked: true } as const;

beforeAll(async () => {
  database = await createTestDatabase({ label: "orch_many_dependents" });
  const common = { connection: database.connectionString, logger: silentLogger, schema: orchestratorSchema };
  await migrate({ ...common, migrations: orchestratorMigrations, ports: systemPorts });
  pool = createDatabase({ ...common, applicationName: "many dependents", ports: systemPorts });
  store = createPostgresStore(pool);
});
afterAll(async () => {
  await pool.close();
  await database.drop();
});

const behind = (taskId: string, name: string) => newTask(name, { dependsOnTaskIds: [taskId], pause: waits });

it("DESIGN 5: releases 9,990 tasks though PostgreSQL expects one of each", async () => {
  for (const table of ["tasks", "task_dependencies", "pause_queue"])
    await pool.knex.raw(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
  for (let chain = 0; chain < 60; chain += 1) {
    const first = newTask("first");
    const tasks = [first];
    for (let last = first; tasks.length < 100; tasks.push(last)) last = behind(last.taskId, `after ${last.taskId}`);
    await desk.start(tasks);
  }
  await pool.knex.raw("ANALYZE");
  const hub = newTask("hub");
  const dependents = Array.from({ length: 9_990 }, (_, n) => behind(hub.taskId, `after ${n}`));
  const { first, agentId } = await desk.start([hub, ...dependents]);
  const result = desk.resultOf(first, agentId);
  expect(await store.finishAttempt(result, () => succeed(result))).toMatchObject({ released: 9_990 });
});
