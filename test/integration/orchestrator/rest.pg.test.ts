import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, type Running, type World } from "./harness.ts";

let world: World;
let running: Running;

beforeAll(async () => {
  world = await createWorld("orch_rest");
  running = await world.start();
  await world.agent(running, { cores: 4, freeCores: 0 });
  await fleetSeen(running, 1);
});
afterAll(() => world.close());

const call = async (path: string, init: RequestInit = {}) => {
  const response = await fetch(`${running.httpAddress}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${world.token}`, "content-type": "application/json" },
  });
  const body: unknown = await response.json();
  return { status: response.status, body };
};

describe("REST", () => {
  it("R-PAUSE-5: a plan that must wait is answered in snake_case with the words of the contract", async () => {
    const plan = { name: "by rest", tasks: [{ name: "a", command: { argv: ["true"] } }] };
    const accepted = await call("/api/v1/plans", { method: "POST", body: JSON.stringify({ plan }) });
    expect(accepted).toMatchObject({ status: 200, body: { status: "paused", paused_tasks: 1, dispatched_tasks: 0 } });
    const { plan_id: planId } = accepted.body as { plan_id: string };
    expect(await call(`/api/v1/plans/${planId}`)).toMatchObject({
      body: { plan: { name: "by rest", tasks: [{ state: "paused", pause: { reason: "fleet_below_threshold" } }] } },
    });
    expect(await call("/api/v1/queue")).toMatchObject({
      body: { waiting_tasks: 1, threshold: 0.2, polling_interval: "10s" },
    });
    expect(await call("/api/v1/capacity:check")).toMatchObject({
      body: { should_pause: true, agents_online: 1, average_cpu_free_percent: 0 },
    });
    expect(await call("/api/v1/queue:resume", { method: "POST", body: "{}" })).toMatchObject({
      body: { resumed_tasks: 0, waiting_tasks: 1 },
    });
    expect(await call(`/api/v1/plans/${planId}:cancel`, { method: "POST", body: "{}" })).toMatchObject({
      body: { plan: { status: "cancelled" } },
    });
    expect(await call("/api/v1/plans/99999999-1111-4111-8111-999999999999")).toMatchObject({ status: 404 });
    expect(await call("/api/v1/plans/nonsense")).toMatchObject({ status: 400 });
  });

  it("metrics: queue depth by reason, age of the oldest, passes", async () => {
    await running.plans.dispatchPlan(planOf(3));
    const text = await (await fetch(`${running.httpAddress}/metrics`)).text();
    expect(text).toMatch(/headroom_queue_tasks\{reason="FLEET_BELOW_THRESHOLD"\} 3/);
    expect(text).toMatch(/headroom_queue_oldest_age_seconds \d/);
    expect(text).toMatch(/headroom_resume_passes_total\{result="ok"\} [1-9]/);
    expect(text).toMatch(/headroom_registry_connected 1/);
  });

  it("environment values of tasks and the token are never in logs", async () => {
    const secret = "s3cr3t-value-of-a-task";
    const request = planOf(2, {}, { command: { argv: ["true"], env: { KEY: secret }, workingDir: "" } });
    await running.plans.dispatchPlan(request);
    const text = JSON.stringify(running.logger.records);
    expect(text).not.toContain(secret);
    expect(text).not.toContain(world.token);
  });
});
