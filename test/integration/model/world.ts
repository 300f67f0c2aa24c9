import { randomUUID } from "node:crypto";
import { wire } from "@headroom/contracts";
import { orchestratorMigrations, orchestratorSchema } from "@headroom/orchestrator";
import { migrate } from "@headroom/postgres";
import { createRegistry, registryConfig } from "@headroom/registry";
import { ensureTokenFile } from "@headroom/rpc";
import { formatHostPort, loadConfigOrThrow, silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, makeTempDir, type SeededRandom, waitFor } from "@headroom/testing";
import { freePorts } from "../../e2e/support/free-ports.ts";
import type { AcceptedFact, Facts } from "../../support/invariants/facts.ts";
import { readFacts } from "../../support/invariants/read-facts.ts";
import { installRecorder } from "../../support/invariants/recorder.ts";
import { runsOf } from "../../support/invariants/runs.ts";
import { configOf } from "../orchestrator/harness.ts";
import { createDesktop, type Desktop } from "./desktop.ts";
import { createReplica, offsetPorts, type Replica, type Watch } from "./replica.ts";

/** A registry, three orchestrators whose clocks are hours apart, and three agents, all real but for the commands; one PostgreSQL. */
export interface World {
  readonly replicas: readonly Replica[];
  readonly desktops: readonly Desktop[];
  /** Hands a plan over through one replica; what is not answered is handed over again, under the same id, in `settle`. */
  submit(replica: Replica, plan: Partial<wire.WorkPlan>): Promise<void>;
  /** Cancels one of the plans that were accepted. */
  cancel(replica: Replica, random: number): Promise<void>;
  /** Something bad that goes on while other things happen; one at a time for each victim, further ones are left out. */
  meanwhile(victim: Replica | Desktop, disturbance: () => Promise<void>): void;
  /** For the database the leases of an agent ended a minute ago. */
  endLeases(desktop: Desktop): Promise<void>;
  /** Mends everything, and waits until all that was accepted has ended. */
  settle(): Promise<Facts>;
  close(): Promise<void>;
}

/** The clocks of the three machines: a working day behind, right, half a day ahead. */
const clockOffsetsMs = [-8 * 3_600_000, 0, 12 * 3_600_000] as const;
/** What was done last may wait out a delivery that failed (30 s), and then some backoffs. */
const settleMs = 150_000;

export async function createWorld(random: SeededRandom, watch: Watch = "whole"): Promise<World> {
  const database = await createTestDatabase({ label: "model" });
  const dir = await makeTempDir("model");
  const token = await ensureTokenFile(`${dir.path}/token`);
  const base = { DATABASE_URL: database.connectionString, HEADROOM_DATA_DIR: dir.path, HEADROOM_DRAIN_SECONDS: "0.1" };
  await migrate({
    connection: database,
    schema: orchestratorSchema,
    migrations: orchestratorMigrations,
    logger: silentLogger,
    ports: systemPorts,
  });
  const registry = createRegistry(
    loadConfigOrThrow(registryConfig, {
      env: {
        ...base,
        HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0",
        HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0",
        HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "1",
        HEADROOM_OFFLINE_GRACE_SECONDS: "5",
        // Agents are cut off on purpose here, again and again.
        HEADROOM_FLAPS_TOLERATED: "1000",
      },
    }).values,
    { ports: offsetPorts(3 * 3_600_000) },
  );
  await registry.start();
  const registryAddress = formatHostPort(registry.grpcAddress ?? { host: "", port: 0 });
  await installRecorder((text, values) => database.sql(text, values));

  const ports = await freePorts(clockOffsetsMs.length);
  const replicas = clockOffsetsMs.map((clockOffsetMs, index) =>
    createReplica({
      name: `replica-${index + 1}`,
      token,
      clockOffsetMs,
      watch,
      config: configOf({
        ...base,
        HEADROOM_REGISTRY_ADDR: registryAddress,
        HEADROOM_ORCHESTRATOR_GRPC_ADDR: `127.0.0.1:${ports[index]}`,
        HEADROOM_CLAIM_LEASE_SECONDS: "1",
        PAUSE_POLLING_INTERVAL_SECONDS: "1",
        PAUSE_ERROR_DELAY_SECONDS: "0.5",
        PAUSE_CAPACITY_THRESHOLD_PERCENT: "0",
      }),
    }),
  );
  for (const replica of replicas) await replica.start();
  const desktops: Desktop[] = [];
  for (const [index, [cpuCores, gpuVramGb]] of (
    [
      [4, 24],
      [3, null],
      [2, 12],
    ] as const
  ).entries()) {
    const desktop = await createDesktop({
      dir: `${dir.path}/agent-${index + 1}`,
      token,
      registry: registryAddress,
      orchestrator: `127.0.0.1:${ports[index % ports.length]}`,
      cpuCores,
      gpuVramGb,
      random,
    });
    await desktop.start();
    desktops.push(desktop);
  }

  const accepted: AcceptedFact[] = [];
  const unanswered = new Map<string, wire.DispatchPlanRequest>();
  const disturbed = new Map<Replica | Desktop, Promise<void>>();
  let failure: Error | null = null;

  async function dispatch(replica: Replica, request: wire.DispatchPlanRequest): Promise<void> {
    const { planId } = await replica.plans.dispatchPlan(request, { deadlineMs: 3_000 });
    unanswered.delete(request.requestId);
    accepted.push({ planId, tasks: request.plan?.tasks.length ?? 0 });
  }

  async function mend(): Promise<void> {
    await Promise.all(disturbed.values());
    if (failure !== null) throw failure;
    for (const replica of replicas) {
      replica.fate().thaw();
      if (!replica.fate().isDead()) continue;
      await replica.bury();
      await replica.start();
    }
    for (const desktop of desktops) desktop.restore();
  }

  async function unfinished(): Promise<readonly string[]> {
    const rows = await database.sql<{ name: string; state: string }>(
      `SELECT name, state FROM orchestrator.tasks WHERE state NOT IN ('succeeded', 'failed', 'cancelled') LIMIT 20`,
    );
    return rows.map(({ name, state }) => `${name} is ${state}`);
  }

  async function promised(): Promise<readonly string[]> {
    const rows = await database.sql<{ attempt_id: string; state: string }>(
      `SELECT attempt_id, state FROM registry.reservations WHERE state <> 'released' LIMIT 20`,
    );
    return rows.map(({ attempt_id: attemptId, state }) => `${attemptId} is ${state}`);
  }

  async function untilNone(what: string, look: () => Promise<readonly string[]>): Promise<void> {
    let left: readonly string[] = [];
    await waitFor(
      async () => {
        left = await look();
        return left.length === 0;
      },
      { timeoutMs: settleMs, describe: () => `${what}: ${left.join(", ")}` },
    );
  }

  return {
    replicas,
    desktops,
    async submit(replica, plan) {
      const request = wire.DispatchPlanRequest.fromPartial({ requestId: randomUUID(), plan });
      unanswered.set(request.requestId, request);
      await dispatch(replica, request).catch(() => undefined);
    },
    async cancel(replica, fraction) {
      const one = accepted[Math.floor(fraction * accepted.length)];
      if (one === undefined) return;
      await replica.plans.cancelPlan({ planId: one.planId, reason: "" }, { deadlineMs: 3_000 }).catch(() => undefined);
    },
    meanwhile(victim, disturbance) {
      if (disturbed.has(victim)) return;
      const over = disturbance()
        .catch((error: unknown) => {
          failure = error instanceof Error ? error : new Error(String(error));
        })
        .finally(() => disturbed.delete(victim));
      disturbed.set(victim, over);
    },
    async endLeases({ agentId }) {
      await database.sql(
        `UPDATE orchestrator.attempts SET lease_expires_at = now() - interval '1 minute'
          WHERE agent_id = $1 AND state IN ('assigned', 'running')`,
        [agentId],
      );
    },
    async settle() {
      await mend();
      // Whoever got no answer asks again.
      await untilNone("plans that no replica answers for", async () => {
        for (const request of unanswered.values()) await dispatch(replicas[0]!, request).catch(() => undefined);
        return [...unanswered.keys()];
      });
      await untilNone("tasks that do not end", unfinished);
      for (const desktop of desktops) desktop.repeatOldResults();
      await untilNone("room that is not given back", promised);
      return {
        ...(await readFacts((text, values) => database.sql(text, values))),
        runs: desktops.flatMap(({ agentId, records }) => runsOf(agentId, records)),
        accepted,
        isOver: true,
        outages: [],
      };
    },
    async close() {
      await mend();
      for (const desktop of desktops) await desktop.stop();
      for (const replica of replicas) await replica.stop();
      await registry.stop();
      await database.drop();
      await dir.remove();
    },
  };
}
