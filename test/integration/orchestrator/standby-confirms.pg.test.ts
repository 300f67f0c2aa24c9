import { randomUUID } from "node:crypto";
import { createPostgresStore, orchestratorMigrations, orchestratorSchema } from "@headroom/orchestrator";
import type {
  AssignmentToSend,
  AttemptResult,
  ClaimedTask,
  NewPause,
  NewPlan,
  OrchestratorStore,
} from "@headroom/orchestrator";
import { createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { normalizeNeeds, shapeKey } from "@headroom/scheduling";
import { type PrivatePostgres, startPrivatePostgres, waitFor } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sqlOn } from "../../e2e/support/sql.ts";

/**
 * A primary whose synchronous standby does not answer, as just before a failover. What was being committed when it crashed is there when
 * it is back, and on no other machine: whoever reads it and gives his word on it gives the word that the failover breaks.
 */
let postgres: PrivatePostgres;
let database: PooledDatabase;
let store: OrchestratorStore;
const common = { logger: silentLogger, ports: systemPorts, schema: orchestratorSchema };

beforeAll(async () => {
  postgres = await startPrivatePostgres();
  const { connectionString: connection } = postgres;
  await migrate({ connection, migrations: orchestratorMigrations, ...common });
  await set("wal_level", "replica");
  await set("max_wal_senders", "2");
  await postgres.stop();
  await postgres.start();
  database = createDatabase({ connection, applicationName: "standby-confirms", ...common });
  store = createPostgresStore(database);
});
afterAll(async () => {
  await database?.close();
  await postgres?.remove();
});

const sql = (text: string): Promise<readonly Record<string, unknown>[]> => sqlOn(postgres.connectionString)(text);
const set = (name: string, value: string) => sql(`ALTER SYSTEM SET ${name} = '${value}'`);

async function standbyAnswers(answers: boolean): Promise<void> {
  await set("synchronous_standby_names", answers ? "" : "away");
  await sql("SELECT pg_reload_conf()");
  await waitFor(async () => {
    const [row] = await sql("SELECT current_setting('synchronous_standby_names') AS names");
    return row?.["names"] === (answers ? "" : "away");
  });
}

const waitingForStandby = async (): Promise<number> => {
  const [row] = await sql("SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  return Number(row?.["n"]);
};

/** What is asked while the standby is silent must wait for it; answers what it says then. */
async function onceConfirmed<T>(ask: () => Promise<T>): Promise<T> {
  await standbyAnswers(false);
  let answered = false;
  const answer = ask().finally(() => (answered = true));
  await waitFor(async () => answered || (await waitingForStandby()) === 1, { describe: "an answer, or a wait" });
  expect(answered, "answered before the standby had it").toBe(false);
  await standbyAnswers(true);
  return answer;
}

describe("a synchronous standby that does not answer", () => {
  it("V1: a plan that only a crashed primary has is not acknowledged when it is handed over again", async () => {
    const requestId = randomUUID();
    const plan = planOf(requestId);
    await standbyAnswers(false);
    const first = store.acceptPlan(plan, { owner: randomUUID(), leaseMs: 1_000 }, 1).then(
      () => "accepted",
      () => "no answer",
    );
    await waitFor(async () => (await waitingForStandby()) === 1, { describe: "the plan's commit to wait" });
    postgres.kill9();
    expect(await first).toBe("no answer");
    await waitFor(() => sql("SELECT 1"), { describe: "PostgreSQL to be back" });

    expect(await onceConfirmed(() => store.findRequest(requestId))).toMatchObject({ planId: plan.planId });
  });

  it("V9: an agent is not told to forget a result, or to end a run, on the word of a primary that may be none any more", async () => {
    const unknown = { attemptId: randomUUID(), fence: 1 };
    const result: AttemptResult = {
      ...unknown,
      agentId: randomUUID(),
      outcome: "exited",
      exitCode: 0,
      signal: "",
      sentence: "",
      startedAtMs: 0,
      finishedAtMs: 1,
      used: null,
      lastOutputSeq: 0,
    };
    const decide = (): never => {
      throw new Error("there is nothing to decide");
    };
    expect(await onceConfirmed(() => store.finishAttempt(result, decide))).toBeNull();
    expect(await onceConfirmed(() => store.acceptAttempt(unknown, result.agentId))).toBeNull();
    expect(await onceConfirmed(() => store.findAttempts([unknown.attemptId]))).toEqual([]);
  });
});

/** Claims do not wait for the standby (`claim.ts`): one may be gone after a failover, while its owner goes on placing the task. */
describe("a claim that was lost with its primary", () => {
  it("V5, V6: is worth nothing, not even to the owner who has claimed the task again under the same fence", async () => {
    const owner = randomUUID();
    const plan = planOf(null, { reason: "FLEET_BELOW_THRESHOLD", sentence: "full", blocked: false });
    await store.acceptPlan(plan, { owner, leaseMs: 1_000 }, 1);
    const claim = async (): Promise<ClaimedTask> => {
      const shapes = [{ shapeKey: shapeKey(needs), limit: 1 }];
      const [claimed] = await store.claimWaiting({
        owner,
        leaseMs: 60_000,
        shapes,
        planId: plan.planId,
        exceptPlanIds: [],
      });
      if (claimed === undefined) throw new Error("nothing was claimed");
      return claimed;
    };
    const lost = await claim();
    // The standby never heard of it.
    await sql(
      `UPDATE orchestrator.tasks SET claim_owner = NULL, claim_expires_at = NULL, placing_attempt_id = NULL, fence = fence - 1
        WHERE task_id = '${lost.taskId}'`,
    );
    expect(await assign(lost, owner)).toEqual([]);
    const again = await claim();
    expect(again.fence).toBe(lost.fence);
    expect(again.attemptId).not.toBe(lost.attemptId);
    expect(await assign(lost, owner)).toEqual([]);
    expect(await assign(again, owner)).toMatchObject([{ attemptId: again.attemptId, fence: again.fence }]);
  });
});

function assign(claimed: ClaimedTask, owner: string): Promise<readonly AssignmentToSend[]> {
  const amounts = { cpuMillicores: 1_000, memoryMib: 0, cards: [] };
  const where = { agentId: randomUUID(), amounts, cardIndexes: [], leaseLeftMs: 30_000, sendsNow: false };
  return store.assign([{ claimed, ...where }], owner, "resume-loop");
}

const needs = normalizeNeeds({ cpuMillicores: 1_000 });

function planOf(requestId: string | null, pause: NewPause | null = null): NewPlan {
  return {
    planId: randomUUID(),
    name: "plan",
    namespace: "default",
    priority: 0,
    labels: {},
    requestId,
    requestHash: "hash",
    pointMs: 600_000,
    call: { requestId: "", traceparent: "" },
    tasks: [
      {
        taskId: randomUUID(),
        name: "task",
        position: 0,
        priority: 0,
        needs,
        shapeKey: shapeKey(needs),
        command: { argv: ["true"], env: {}, workingDir: null },
        resumeAfterMs: null,
        dependsOnTaskIds: [],
        maxAttempts: 1,
        retryOnFailure: false,
        holdUnknown: false,
        runTimeoutMs: null,
        waitTimeoutMs: null,
        workLeaseMs: 300_000,
        expectedDurationMs: null,
        pause,
      },
    ],
  };
}
