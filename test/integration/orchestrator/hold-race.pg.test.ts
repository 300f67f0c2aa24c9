/** A plan is held while another replica takes its tasks: the hold wins, and nothing of the plan is lost by it. */
import { randomUUID } from "node:crypto";
import {
  createPostgresStore,
  orchestratorMigrations,
  orchestratorSchema,
  type OrchestratorStore,
} from "@headroom/orchestrator";
import { createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createStoreDesk, newPlan, newTask, paused } from "../../conformance/orchestrator-store/desk.ts";

let database: TestDatabase;
let pool: PooledDatabase;
let store: OrchestratorStore;
const desk = createStoreDesk(() => store);
const by = { reason: "disk swap", by: "ana", call: { requestId: "", traceparent: "" } };

beforeAll(async () => {
  database = await createTestDatabase({ label: "orch_hold_race" });
  const common = { logger: silentLogger, ports: systemPorts, schema: orchestratorSchema };
  await migrate({ connection: database.connectionString, migrations: orchestratorMigrations, ...common });
  pool = createDatabase({ connection: database.connectionString, applicationName: "hold race", ...common });
  store = createPostgresStore(pool);
});
beforeEach(async () => {
  await pool.knex.raw("TRUNCATE plans CASCADE");
});
afterAll(async () => {
  await pool.close();
  await database.drop();
});

/** Begins to hold the plan and stops it behind its look at the claims, as long as `meanwhile` goes on. */
async function holdMeanwhile(planId: string, meanwhile: () => Promise<void>): Promise<void> {
  let holding: Promise<unknown> = Promise.resolve();
  await pool.knex.transaction(async (rows) => {
    await rows.raw("SELECT FROM pause_queue WHERE plan_id = ? FOR UPDATE", [planId]);
    holding = store.holdPlan(planId, by);
    await waitFor(async () => {
      const { rows: waiting } = await pool.knex.raw<{ rows: unknown[] }>(
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
      );
      return waiting.length > 0;
    });
    await meanwhile();
  });
  await holding;
}

it("what is claimed while its plan is being held is not assigned, stays held, and is there again after the release", async () => {
  const plan = newPlan([newTask("a", { pause: paused }), newTask("b", { pause: paused })]);
  await desk.accept(plan);
  let assigning: Promise<readonly unknown[]> = Promise.resolve([]);
  let claimed: Awaited<ReturnType<typeof desk.claim>> = [];
  await holdMeanwhile(plan.planId, async () => {
    claimed = await desk.claim();
    expect(claimed).toHaveLength(2);
    // It waits for the plan, which the hold has locked.
    assigning = desk.assign(claimed, randomUUID());
  });
  expect(await assigning).toEqual([]);
  const parks = claimed.map(
    (one) => ({ claimed: one, reason: "NO_AGENT_FITS_NOW", sentence: "full", attemptIdKept: false }) as const,
  );
  expect(await store.park(parks, desk.owner, "resume-loop")).toBe(2);
  const held = await store.planTasks(plan.planId);
  expect(held.map(({ pause }) => [pause?.reason, pause?.sentence])).toEqual(
    Array.from({ length: 2 }, () => ["HELD", "Its plan is held by ana: disk swap"]),
  );
  expect(await store.releasePlan(plan.planId, by)).toBe(2);
  expect(await desk.assign(await desk.claim(), randomUUID())).toHaveLength(2);
});

it("a claim whose owner died is taken over by nobody as long as its plan is held", async () => {
  const plan = newPlan([newTask("a", { pause: paused })]);
  await desk.accept(plan);
  await holdMeanwhile(plan.planId, async () => {
    expect(await desk.claim({ leaseMs: 0 })).toHaveLength(1);
  });
  const claimer = { owner: desk.other, leaseMs: 60_000 };
  expect(await store.claimOrphans(claimer, 10, null)).toEqual([]);
  await store.releasePlan(plan.planId, by);
  expect(await store.claimOrphans(claimer, 10, null)).toHaveLength(1);
});
