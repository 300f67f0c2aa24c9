import { wire } from "@headroom/contracts";
import { createOrchestrator } from "@headroom/orchestrator";
import { createChannel, createClient } from "@headroom/rpc";
import { formatHostPort, type HostPort, type Ports, silentLogger, systemPorts } from "@headroom/runtime";
import { makeTempDir, type PrivatePostgres, startPrivatePostgres } from "@headroom/testing";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { configOf, createWorld, fleetSeen, grpcOf, planOf, type Running, waitUntil, type World } from "./harness.ts";

const { PlanStatus } = wire;
let postgres: PrivatePostgres;
let world: World;
const quick = { PAUSE_POLLING_INTERVAL_SECONDS: "0.3", PAUSE_ERROR_DELAY_SECONDS: "0.5" };

beforeAll(async () => {
  postgres = await startPrivatePostgres();
  world = await createWorld("orch_db_away", postgres.connectionString);
});
afterEach(async () => {
  await postgres.start();
  await world.reset();
});
afterAll(async () => {
  await world.close();
  await postgres.remove();
});

const { SERVING, NOT_SERVING } = wire.HealthCheckResponse_ServingStatus;
const healthServices = ["", ...["Plan", "PauseQueue", "Work"].map((name) => `headroom.orchestrator.v1.${name}Service`)];

const healthOf = async (address: HostPort): Promise<readonly wire.HealthCheckResponse_ServingStatus[]> => {
  const channel = createChannel({ address, ports: systemPorts, logger: silentLogger });
  const client = createClient(wire.HealthService, channel);
  try {
    return await Promise.all(healthServices.map(async (service) => (await client.check({ service })).status));
  } finally {
    channel.close();
  }
};
const page = (httpAddress: string, path: string): Promise<Response> => fetch(`${httpAddress}${path}`);
const metricsOf = async (running: Running): Promise<string> => (await page(running.httpAddress, "/metrics")).text();

const status = async (running: Running, planId: string) => (await running.plans.getPlan({ planId })).plan?.status;

describe("database away", () => {
  it(
    "R-PAUSE-9: while accepting and pausing: UNAVAILABLE, nothing accepted, and the service goes on",
    { timeout: 60_000 },
    async () => {
      const running = await world.start(quick);
      await postgres.stop();
      await expect(running.plans.dispatchPlan(planOf(2))).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await expect(running.queue.resumePausedWork({ planId: "" })).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect((await running.queue.checkCapacity({ needs: undefined })).threshold).toBe(0.2);
      await postgres.start();
      const answer = await waitUntil(() => running.plans.dispatchPlan(planOf(2)));
      expect(answer.status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
      const { plans } = await running.plans.listPlans({ statuses: [], name: "", pageSize: 0, pageToken: "" });
      expect(plans).toHaveLength(1);
    },
  );

  it("R-PAUSE-9: in the loop: logged, and what waits is resumed when it is back", { timeout: 60_000 }, async () => {
    const running = await world.start(quick);
    const agent = await world.agent(running, { cores: 10, freeCores: 1 }, { instant: true });
    await fleetSeen(running, 1);
    const { planId } = await running.plans.dispatchPlan(planOf(4));
    running.logger.clear();
    await postgres.stop();
    await waitUntil(() => running.logger.has(/a pass over the queue failed/, "error"));
    world.registry.set(agent.agentId, { cores: 10 });
    await postgres.start();
    await waitUntil(async () => (await status(running, planId)) === PlanStatus.PLAN_STATUS_SUCCEEDED);
    expect(new Set(agent.given.map(({ taskId }) => taskId)).size).toBe(4);
  });

  it("R-PAUSE-9: while a run ends: the result stays with its agent, and counts once", { timeout: 60_000 }, async () => {
    const running = await world.start(quick);
    const agent = await world.agent(running, { cores: 10 });
    await fleetSeen(running, 1);
    const { planId } = await running.plans.dispatchPlan(planOf(1));
    const given = await waitUntil(() => [...agent.running.values()][0]);
    await waitUntil(async () => (await running.plans.getPlan({ planId })).plan?.counts?.running === 1);
    await postgres.stop();
    const closesBefore = agent.closes.length;
    agent.finish(given.attemptId);
    await waitUntil(() => agent.closes.length > closesBefore);
    expect(agent.acks.size).toBe(0);
    await postgres.start();
    const address = running.orchestrator.grpcAddress;
    if (address === null) throw new Error("not listening");
    await waitUntil(async () => {
      if (!agent.welcomed()) agent.connect(address);
      await waitUntil(() => agent.welcomed() || agent.closes.length > closesBefore + 1, { timeoutMs: 5_000 });
      return agent.welcomed();
    });
    agent.finish(given.attemptId);
    expect(await waitUntil(() => agent.acks.get(given.attemptId))).toEqual({ refused: false });
    expect(await status(running, planId)).toBe(PlanStatus.PLAN_STATUS_SUCCEEDED);
  });

  it(
    "R-PAUSE-9: a crash of the database in mid-flight loses nothing that was accepted",
    { timeout: 100_000 },
    async () => {
      const running = await world.start(quick);
      const agent = await world.agent(running, { cores: 2 }, { instant: true });
      await fleetSeen(running, 1);
      const answers = await Promise.all([1, 2, 3].map(() => running.plans.dispatchPlan(planOf(5))));
      postgres.kill9();
      const address = running.orchestrator.grpcAddress;
      if (address === null) throw new Error("not listening");
      await waitUntil(
        async () => {
          // An agent comes back and says again what was not acknowledged.
          const given = new Set(agent.given.map(({ attemptId }) => attemptId));
          for (const attemptId of given) if (!agent.acks.has(attemptId)) agent.finish(attemptId);
          // Room that was promised at that moment, and whose assignment was not committed, is free when its lease is over.
          world.registry.endLeases((attemptId) => !given.has(attemptId));
          if (agent.closes.length > 0 && !(await reconnected(agent, address))) return false;
          const states = await Promise.all(answers.map(({ planId }) => status(running, planId)));
          return states.every((state) => state === PlanStatus.PLAN_STATUS_SUCCEEDED);
        },
        { timeoutMs: 90_000 },
      );
    },
  );

  it(
    "R-SHAPE-5: lost while it runs: it says so, and why, keeps its agents, tells no old figures, and is back by itself",
    { timeout: 60_000 },
    async () => {
      // How much time has passed for it beyond what really has.
      let skippedMs = 0;
      const { clock } = systemPorts;
      const ports: Ports = { ...systemPorts, clock: { ...clock, monotonic: () => clock.monotonic() + skippedMs } };
      const running = await world.start(quick, ports);
      const agent = await world.agent(running, { cores: 10, freeCores: 1 });
      await fleetSeen(running, 1);
      await running.plans.dispatchPlan(planOf(2));
      const queueFigures = /^headroom_(queue_\w+|attempts_open)(\{.*\})? [\d.]+$/gm;
      const before = await metricsOf(running);
      expect(before).toMatch(/^headroom_database_connected 1$/m);
      expect(before.match(queueFigures)).toEqual([
        'headroom_queue_tasks{reason="FLEET_BELOW_THRESHOLD"} 2',
        expect.stringMatching(/^headroom_queue_oldest_age_seconds [\d.]+$/),
        "headroom_attempts_open 0",
        "headroom_queue_held 0",
      ]);

      await postgres.stop();
      skippedMs += 5_000;
      await waitUntil(async () => (await page(running.httpAddress, "/readyz")).status === 503);
      expect(await (await page(running.httpAddress, "/readyz")).json()).toMatchObject({
        why: expect.stringContaining("has not reached its database"),
      });
      expect((await page(running.httpAddress, "/healthz")).status).toBe(200);
      expect(await healthOf(grpcOf(running))).toEqual(healthServices.map(() => NOT_SERVING));
      const away = await metricsOf(running);
      expect(away).toMatch(/^headroom_database_connected 0$/m);
      expect(away).toMatch(/^headroom_agents_attached 1$/m);
      expect(away).toMatch(/^headroom_registry_connected 1$/m);
      expect(away.match(queueFigures)).toBeNull();
      expect(agent.closes).toEqual([]);

      await postgres.start();
      await waitUntil(async () => (await page(running.httpAddress, "/readyz")).status === 200);
      expect(await healthOf(grpcOf(running))).toEqual(healthServices.map(() => SERVING));
      expect((await metricsOf(running)).match(queueFigures)).toHaveLength(4);
      expect(agent.closes).toEqual([]);
      world.registry.set(agent.agentId, { cores: 10 });
      await waitUntil(() => agent.running.size === 2);
    },
  );

  it(
    "R-SHAPE-5: away at the start: waits, answers NOT ready, says why, and serves once it is there",
    { timeout: 60_000 },
    async () => {
      await postgres.stop();
      const dir = await makeTempDir("orch_db_late");
      const late = createOrchestrator(
        configOf({
          DATABASE_URL: postgres.connectionString,
          HEADROOM_DATA_DIR: dir.path,
          HEADROOM_TOKEN: world.token,
          HEADROOM_REGISTRY_ADDR: world.registry.address,
          HEADROOM_DRAIN_SECONDS: "1",
        }),
      );
      const started = late.start();
      try {
        const address = formatHostPort(await waitUntil(() => late.httpAddress));
        const grpc = await waitUntil(() => late.grpcAddress);
        const readiness = await waitUntil(() => page(`http://${address}`, "/readyz"));
        expect([readiness.status, await readiness.json()]).toEqual([
          503,
          { status: "not_ready", why: "waiting for the database" },
        ]);
        expect((await page(`http://${address}`, "/healthz")).status).toBe(200);
        expect(await healthOf(grpc)).toEqual(healthServices.map(() => NOT_SERVING));
        await postgres.start();
        await started;
        expect((await page(`http://${address}`, "/readyz")).status).toBe(200);
        expect(await healthOf(grpc)).toEqual(healthServices.map(() => SERVING));
      } finally {
        await postgres.start();
        await late.stop();
        await dir.remove();
      }
    },
  );
});

async function reconnected(
  agent: Awaited<ReturnType<World["agent"]>>,
  address: NonNullable<Running["orchestrator"]["grpcAddress"]>,
): Promise<boolean> {
  const closes = agent.closes.length;
  if (agent.welcomed() && closes === seenCloses.get(agent)) return true;
  seenCloses.set(agent, closes);
  agent.connect(address);
  await waitUntil(() => agent.welcomed() || agent.closes.length > closes, { timeoutMs: 5_000 });
  return agent.welcomed();
}
const seenCloses = new WeakMap<object, number>();
