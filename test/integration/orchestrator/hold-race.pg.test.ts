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
import { createStoreDesk, newPlan, newTask, paused, undelivered } from "../../conformance/orchestrator-store/desk.ts";

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

const somebodyWaitsForALock = (): Promise<unknown> =>
  waitFor(async () => {
    const { rows: waiting } = await pool.knex.raw<{ rows: unknown[] }>(
      "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
    );
    return waiting.length > 0;
  });

/** Begins to hold the plan and stops it behind its look at the claims, as long as `meanwhile` goes on. */
async function holdMeanwhile(planId: string, meanwhile: () => Promise<void>): Promise<void> {
  let holding: Promise<unknown> = Promise.resolve();
  await pool.knex.transaction(async (rows) => {
    await rows.raw("SELECT FROM pause_queue WHERE plan_id = ? FOR UPDATE", [planId]);
    holding = store.holdPlan(planId, by, undelivered);
    await somebodyWaitsForALock();
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

const again = (agentId: string) => ({ agentIds: [agentId], afterMs: 0, withinMs: 60_000, exceptAttemptIds: [] });

it("what was given out and never sent is taken back by the hold: nobody sends it, it costs no run, and it is there again after the release", async () => {
  const { agentId, plan, first } = await desk.start([newTask("a")], false);
  const held = await store.holdPlan(plan.planId, by, undelivered);
  const applied = { verdict: { kind: "requeue" }, taskId: first.taskId };
  const taken = { attemptId: first.attemptId, fence: first.fence, agentId, applied };
  expect(held).toMatchObject({ kind: "held", heldTasks: 1, takenBack: [taken] });
  expect(await store.takeToSend([agentId], again(agentId))).toEqual([]);
  expect(await store.takeToSendAgain([first.attemptId], 60_000)).toEqual({ assignments: [], inUse: [] });
  const [task] = await store.planTasks(plan.planId);
  expect(task).toMatchObject({
    state: "paused",
    pause: { reason: "HELD", sentence: "Its plan is held by ana: disk swap" },
  });
  expect((await desk.kinds(plan.planId)).slice(-3)).toEqual(["PLAN_HELD", "TASK_NOT_DELIVERED", "TASK_PAUSED"]);
  const { rows } = await pool.knex.raw<{ rows: unknown[] }>("SELECT runs_used, attempts_made FROM tasks");
  expect(rows).toEqual([{ runs_used: 0, attempts_made: 1 }]);
  expect(await store.releasePlan(plan.planId, by)).toBe(1);
  const [next] = await desk.assign(await desk.claim(), agentId);
  expect(next?.attemptId).not.toBe(first.attemptId);
});

it("what another replica is sending at that very moment stays: its agent gets it once", async () => {
  const { agentId, plan, first } = await desk.start([newTask("a")], false);
  let holding: Promise<unknown> = Promise.resolve();
  await pool.knex.transaction(async (sending) => {
    await sending.raw("UPDATE attempts SET sent_at = now() WHERE attempt_id = ?", [first.attemptId]);
    holding = store.holdPlan(plan.planId, by, undelivered);
    await somebodyWaitsForALock();
  });
  expect(await holding).toMatchObject({ kind: "held", heldTasks: 0, takenBack: [] });
  expect(await store.openAttempts(agentId)).toMatchObject([
    { attemptId: first.attemptId, state: "assigned", sent: true },
  ]);
});
