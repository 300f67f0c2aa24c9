import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, waitUntil, type World } from "./harness.ts";
import { pauseRowsOf } from "./pause-rows.ts";

const { PlanStatus, PauseReason } = wire;
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_polling");
});
afterEach(() => world.reset());
afterAll(() => world.close());

const pauseRows = () => pauseRowsOf(world);

describe("polling", () => {
  it("R-PAUSE-7: the loop polls by itself, with the interval given", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "0.2" });
    const agent = await world.agent(running, { cores: 10, freeCores: 1 }, { instant: true });
    await fleetSeen(running, 1);
    await running.plans.dispatchPlan(planOf(2));
    const checked = async (): Promise<number> => (await pauseRows())[0]?.last_checked?.getTime() ?? 0;
    const first = await checked();
    const second = await waitUntil(async () => ((await checked()) > first ? checked() : null));
    await waitUntil(async () => (await checked()) > second);
    expect(agent.given).toHaveLength(0);
    const status = await running.queue.getQueueStatus({});
    expect(status.lastPassAt).toBeDefined();
  });

  it("what no agent could ever take says so while the gate is closed and while nobody is online, and starts when an agent that can joins", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "0.2" });
    const small = await world.agent(running, { cores: 10 });
    await fleetSeen(running, 1);
    const { planId } = await running.plans.dispatchPlan(planOf(1, { cpuCores: 64 }));
    const row = async () => (await pauseRows())[0]?.reason;
    const checkedAgain = async (): Promise<void> => {
      for (let n = 0; n < 2; n += 1) {
        const before = (await pauseRows())[0]?.last_checked?.getTime() ?? 0;
        await waitUntil(async () => ((await pauseRows())[0]?.last_checked?.getTime() ?? 0) > before);
      }
    };
    expect(await row()).toBe("NO_AGENT_CAN_EVER_FIT");
    for (const [desktop, reason] of [
      [{ cores: 10, freeCores: 1 }, PauseReason.PAUSE_REASON_FLEET_BELOW_THRESHOLD],
      [{ cores: 10, online: false }, PauseReason.PAUSE_REASON_NO_AGENT_ONLINE],
    ] as const) {
      world.registry.set(small.agentId, desktop);
      await waitUntil(async () => (await running.queue.checkCapacity({})).reason === reason);
      await checkedAgain();
      expect(await row()).toBe("NO_AGENT_CAN_EVER_FIT");
    }
    // One that could take it is too busy, too: from now on the fleet has to be waited for, and no other reason stands.
    world.registry.set(small.agentId, { cores: 10, freeCores: 1 });
    const large = await world.agent(running, { cores: 100, freeCores: 1 }, { instant: true });
    await waitUntil(async () => (await row()) === "FLEET_BELOW_THRESHOLD");
    world.registry.set(large.agentId, { cores: 100 });
    await waitUntil(
      async () => (await running.plans.getPlan({ planId })).plan?.status === PlanStatus.PLAN_STATUS_SUCCEEDED,
    );
    const told = await world.sql("SELECT FROM orchestrator.events WHERE kind = 'TASK_PAUSED'");
    expect(told).toHaveLength(1);
  });

  it("what no agent could ever take is found behind a gate that was closed from the beginning, and so is what comes after it", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "0.2" });
    const agent = await world.agent(running, { cores: 10, freeCores: 1 }, { instant: true });
    await fleetSeen(running, 1);
    await running.plans.dispatchPlan(planOf(1, { cpuCores: 64 }));
    const waiting = async () => (await pauseRows()).filter(({ status }) => status === "waiting");
    const reasons = async () => (await waiting()).map(({ reason }) => reason).sort();
    await waitUntil(async () => (await reasons())[0] === "NO_AGENT_CAN_EVER_FIT");
    await running.plans.dispatchPlan(planOf(1, { cpuCores: 64 }));
    await running.plans.dispatchPlan(planOf(1, { cpuCores: 5 }));
    await waitUntil(async () => {
      const [small, ...large] = await reasons();
      return small === "FLEET_BELOW_THRESHOLD" && large.every((reason) => reason === "NO_AGENT_CAN_EVER_FIT");
    });
    world.registry.set(agent.agentId, { cores: 100 });
    await waitUntil(async () => (await reasons()).length === 0);
  });

  it("R-PAUSE-7: an error is logged, waited out, and does not end the loop", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "0.2", PAUSE_ERROR_DELAY_SECONDS: "0.3" });
    const agent = await world.agent(running, { cores: 10, freeCores: 1 }, { instant: true });
    await fleetSeen(running, 1);
    const { planId } = await running.plans.dispatchPlan(planOf(2));
    await world.sql("ALTER TABLE orchestrator.pause_queue RENAME TO pause_queue_away");
    await waitUntil(() => running.logger.has(/a pass over the queue failed/, "error"));
    await world.sql("ALTER TABLE orchestrator.pause_queue_away RENAME TO pause_queue");
    world.registry.set(agent.agentId, { cores: 10 });
    await waitUntil(
      async () => (await running.plans.getPlan({ planId })).plan?.status === PlanStatus.PLAN_STATUS_SUCCEEDED,
    );
  });

  it("R-PAUSE-7, R-PAUSE-8: the loop stops with the service; what waits is resumed by the next one, once", async () => {
    const first = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "0.2" });
    const agent = await world.agent(first, { cores: 10, freeCores: 1 }, { instant: true });
    await fleetSeen(first, 1);
    const { planId } = await first.plans.dispatchPlan(planOf(5));
    agent.disconnect();
    await first.stop();
    await first.stop();
    world.registry.set(agent.agentId, { cores: 10 });
    const rows = await pauseRows();
    expect(rows.every((row) => row.status === "waiting")).toBe(true);

    const second = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "0.2" });
    const address = second.orchestrator.grpcAddress;
    if (address === null) throw new Error("not listening");
    agent.connect(address);
    await waitUntil(
      async () => (await second.plans.getPlan({ planId })).plan?.status === PlanStatus.PLAN_STATUS_SUCCEEDED,
    );
    expect(new Set(agent.given.map((given) => given.taskId)).size).toBe(5);
    expect(
      await world.sql("SELECT count(*)::int AS n FROM orchestrator.attempts WHERE state <> 'undelivered'"),
    ).toEqual([{ n: 5 }]);
  });
});
