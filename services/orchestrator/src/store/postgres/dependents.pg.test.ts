import { wire } from "@headroom/contracts";
import { createDatabase, type Database, defineStatement, migrate } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, SeededRandom, type TestDatabase } from "@headroom/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { expandPlan } from "../../accept/expand-plan.ts";
import type { NewPlan } from "../model.ts";
import { orchestratorSchema } from "../open-store.ts";
import { cancelDependents } from "./dependents.ts";
import { finishTasks } from "./finish-tasks.ts";
import { orchestratorMigrations } from "./migrations/index.ts";
import { createPostgresStore } from "./store.ts";

let test: TestDatabase;
let db: Database & { close(): Promise<void> };

beforeAll(async () => {
  test = await createTestDatabase({ label: "dependents" });
  const shared = { connection: test, schema: orchestratorSchema, logger: silentLogger, ports: systemPorts };
  await migrate({ ...shared, migrations: orchestratorMigrations });
  db = createDatabase({ ...shared, applicationName: "dependents-test" });
});
afterAll(async () => {
  await db?.close();
  await test?.drop();
});

const layers = 8;
const width = 15;
const dependencies = 5;
const edges = (layers - 1) * width * dependencies;

/** Layers of tasks, each of which depends on some of the layer before; all of them wait. */
async function acceptLayers(random: SeededRandom): Promise<NewPlan> {
  const tasks = Array.from({ length: layers * width }, (_, position) => {
    const start = (Math.floor(position / width) - 1) * width;
    const chosen = new Set<number>();
    if (start >= 0) while (chosen.size < dependencies) chosen.add(start + random.int(0, width - 1));
    return {
      name: `task-${position}`,
      command: { argv: ["true"] },
      dependsOn: [...chosen].map((other) => `task-${other}`),
    };
  });
  const plan = expandPlan(wire.WorkPlan.fromPartial({ name: "layers", tasks }), null, random, () => ({
    reason: "DEPENDENCY_PENDING",
    sentence: "",
    blocked: true,
  }));
  const claimer = { owner: random.uuid(), leaseMs: 60_000 };
  await createPostgresStore(db).acceptPlan(plan, claimer, plan.tasks.length);
  return plan;
}

/** By this session, as far as it has not told the server's statistics of it: what matters is the difference. */
const readStatement = defineStatement<{ readonly rows: number }>({
  name: "test_rows_read",
  text: `SELECT (seq_tup_read + idx_tup_fetch)::float8 AS rows FROM pg_stat_xact_user_tables WHERE relname = 'task_dependencies'`,
});

/** Small tables are read whole, whatever is asked of them: it is the statement that is looked at, and not their size. */
const byIndexStatement = defineStatement({
  name: "test_by_index",
  text: "SELECT set_config('enable_seqscan', 'off', true)",
});

/** The rows of dependencies that were read for it. */
function fail({ planId }: NewPlan, taskId: string): Promise<number> {
  return db.transaction(async (tx) => {
    await tx.query(byIndexStatement);
    const [before] = await tx.query(readStatement);
    await finishTasks(tx, [{ planId, taskId, state: "failed", outcomeReason: "" }]);
    await cancelDependents(tx, planId, [taskId], "it failed");
    const [after] = await tx.query(readStatement);
    return (after?.rows ?? Number.NaN) - (before?.rows ?? 0);
  });
}

async function ended(plan: NewPlan): Promise<ReadonlySet<string>> {
  const rows = await test.sql<{ task_id: string }>(
    "SELECT task_id FROM orchestrator.tasks WHERE plan_id = $1 AND state IN ('failed', 'cancelled')",
    [plan.planId],
  );
  return new Set(rows.map((row) => row.task_id));
}

/** All that depends on what has ended, the long way; a task stands behind what it depends on. */
function withAllBehind({ tasks }: NewPlan, failed: ReadonlySet<string>): ReadonlySet<string> {
  const all = new Set(failed);
  for (const { taskId, dependsOnTaskIds } of tasks)
    if (dependsOnTaskIds.some((other) => all.has(other))) all.add(taskId);
  return all;
}

it("all that depends on tasks that fail one after the other is cancelled, and each dependency is walked along once", async () => {
  const random = new SeededRandom(Number(process.env["HEADROOM_TEST_SEED"] ?? Date.now()));
  const plan = await acceptLayers(random);
  const failed = new Set<string>();
  let read = 0;
  for (const { taskId } of plan.tasks.slice(0, width)) {
    failed.add(taskId);
    read += await fail(plan, taskId);
    expect(await ended(plan), `HEADROOM_TEST_SEED=${random.seed}`).toEqual(withAllBehind(plan, failed));
  }
  expect(read, `HEADROOM_TEST_SEED=${random.seed}`).toBeGreaterThan(0);
  expect(read, `HEADROOM_TEST_SEED=${random.seed}`).toBeLessThanOrEqual(edges);
});
