import { wire } from "@headroom/contracts";
import { type PrivatePostgres, startPrivatePostgres } from "@headroom/testing";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, type Running, waitUntil, type World } from "./harness.ts";

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

  it("away at the start: waits, answers NOT ready, and serves once it is there", { timeout: 60_000 }, async () => {
    await postgres.stop();
    const starting = world.start(quick);
    await postgres.start();
    const running = await starting;
    expect((await fetch(`${running.httpAddress}/readyz`)).status).toBe(200);
    expect((await running.plans.dispatchPlan(planOf(1))).status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
  });
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
