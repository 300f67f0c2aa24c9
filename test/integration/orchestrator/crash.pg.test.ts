import {
  createOrchestrator,
  createPostgresStore,
  orchestratorMigrations,
  orchestratorSchema,
  type Orchestrator,
  type OrchestratorStore,
} from "@headroom/orchestrator";
import { createDatabase, type Database, migrate } from "@headroom/postgres";
import { createChannel, createClient } from "@headroom/rpc";
import { wire } from "@headroom/contracts";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { captureLogger, createTestDatabase, makeTempDir, type TempDir, type TestDatabase } from "@headroom/testing";
import { ensureTokenFile } from "@headroom/rpc";
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from "vitest";
import { createFakeAgent } from "./fake-agent.ts";
import { startFakeRegistry } from "./fake-registry.ts";
import { configOf, planOf, waitUntil } from "./harness.ts";

let database: TestDatabase;
let dir: TempDir;
let token: string;

beforeAll(async () => {
  database = await createTestDatabase({ label: "orch_crash" });
  dir = await makeTempDir("orch_crash");
  token = await ensureTokenFile(`${dir.path}/token`);
  const { connectionString: connection } = database;
  await migrate({
    connection,
    schema: orchestratorSchema,
    migrations: orchestratorMigrations,
    logger: silentLogger,
    ports: systemPorts,
  });
});
afterAll(async () => {
  await database.drop();
  await dir.remove();
});

/** A process that dies at one call of the store: before or after that call took effect. From then on nothing of it reaches the database. */
function dyingStore(
  store: OrchestratorStore,
  at: keyof OrchestratorStore,
  when: "before" | "after",
): { store: OrchestratorStore; died: () => boolean } {
  let dead = false;
  const gone = (): Promise<never> =>
    Promise.reject(Object.assign(new Error("this process is dead"), { code: "ECONNREFUSED" }));
  const proxy = new Proxy(store, {
    get(target, name: keyof OrchestratorStore) {
      // Every member of the port is a method that answers a promise.
      const method = target[name] as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]): Promise<unknown> => {
        if (dead) return gone();
        if (name !== at) return method(...args);
        if (when === "before") {
          dead = true;
          return gone();
        }
        const answer = await method(...args);
        const isEmpty = Array.isArray(answer) && answer.length === 0;
        if (isEmpty || answer === null) return answer;
        dead = true;
        return gone();
      };
    },
  });
  return { store: proxy, died: () => dead };
}

const steps: readonly (readonly [keyof OrchestratorStore, "before" | "after"])[] = [
  ["acceptPlan", "after"],
  ["assign", "before"],
  ["assign", "after"],
  ["park", "before"],
  ["park", "after"],
  ["acceptAttempt", "before"],
  ["acceptAttempt", "after"],
  ["markStarted", "before"],
  ["markStarted", "after"],
  ["finishAttempt", "before"],
  ["finishAttempt", "after"],
  ["claimWaiting", "after"],
];

describe("crash points", () => {
  it.each(steps)(
    "DESIGN 5, R-PAUSE-8: dead at %s (%s): nothing is lost, every task runs exactly once",
    async (at, when) => {
      const registry = await startFakeRegistry(token);
      const agent = createFakeAgent({ token, instant: true });
      const open = (): Database =>
        createDatabase({
          connection: database,
          schema: orchestratorSchema,
          applicationName: "crash-test",
          logger: silentLogger,
          ports: systemPorts,
        });
      const databases = [open(), open()] as const;
      const config = configOf({
        DATABASE_URL: database.connectionString,
        HEADROOM_DATA_DIR: dir.path,
        HEADROOM_REGISTRY_ADDR: registry.address,
        HEADROOM_CLAIM_LEASE_SECONDS: "1",
        PAUSE_POLLING_INTERVAL_SECONDS: "0.3",
        PAUSE_ERROR_DELAY_SECONDS: "0.3",
        HEADROOM_DRAIN_SECONDS: "0.2",
      });
      const dying = dyingStore(createPostgresStore(databases[0]), at, when);
      const first = createOrchestrator(config, { store: dying.store });
      await first.start();
      agent.connect(grpcOf(first));
      await waitUntil(() => agent.welcomed());
      // Room for two of the three at once: one is parked and has to be resumed.
      registry.set(agent.agentId, { cores: 2 });
      const firstChannel = createChannel({ address: grpcOf(first), ports: systemPorts, logger: silentLogger, token });
      const firstQueue = createClient(wire.PauseQueueServiceService, firstChannel);
      await waitUntil(async () => (await firstQueue.checkCapacity({ needs: undefined })).agentsOnline === 1);
      const requestId = systemPorts.random.uuid();
      const request = { ...planOf(3), requestId };
      await createClient(wire.PlanServiceService, firstChannel)
        .dispatchPlan(request)
        .catch(() => undefined);
      await waitUntil(dying.died);
      agent.disconnect();
      firstChannel.close();
      await first.stop();

      const logger = captureLogger();
      onTestFailed(() =>
        console.log(
          logger.records
            .map((r) => `${r.level} ${r.message} ${JSON.stringify(r.fields)}`)
            .join("\n")
            .slice(0, 6000),
        ),
      );
      const second = createOrchestrator(config, { store: createPostgresStore(databases[1]), logger });
      await second.start();
      agent.connect(grpcOf(second));
      const channel = createChannel({ address: grpcOf(second), ports: systemPorts, logger: silentLogger, token });
      const plans = createClient(wire.PlanServiceService, channel);
      // Whoever was not answered asks again, with the same request_id.
      const { planId } = await plans.dispatchPlan(request);
      // What had ended without an acknowledgement is told again, as agents do after each reconnect.
      const retold = new Set<string>();
      await waitUntil(async () => {
        for (const { attemptId } of agent.given) {
          if (
            !agent.acks.has(attemptId) &&
            !agent.running.has(attemptId) &&
            !retold.has(attemptId) &&
            agent.welcomed()
          ) {
            retold.add(attemptId);
            agent.finish(attemptId);
          }
        }
        const { plan } = await plans.getPlan({ planId });
        return plan?.status === wire.PlanStatus.PLAN_STATUS_SUCCEEDED;
      });
      const runs = new Map<string, Set<string>>();
      for (const { taskId, attemptId } of agent.given) runs.set(taskId, (runs.get(taskId) ?? new Set()).add(attemptId));
      const mine = await database.sql<{ task_id: string; runs: number }>(
        `SELECT t.task_id, count(a.attempt_id)::int AS runs FROM orchestrator.tasks t LEFT JOIN orchestrator.attempts a ON a.task_id = t.task_id AND a.state <> 'undelivered'
        WHERE t.plan_id = $1 GROUP BY t.task_id`,
        [planId],
      );
      expect(mine.map((row) => row.runs)).toEqual([1, 1, 1]);
      expect([...runs.values()].map((attempts) => attempts.size)).toEqual([1, 1, 1]);
      expect([...agent.acks.values()].filter((ack) => ack.refused)).toEqual([]);

      agent.close();
      channel.close();
      await second.stop();
      for (const one of databases) await one.close();
      await registry.stop();
    },
  );
});

function grpcOf(orchestrator: Orchestrator) {
  const address = orchestrator.grpcAddress;
  if (address === null) throw new Error("not listening");
  return address;
}
