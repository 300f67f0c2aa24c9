import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { setTimeout as pause } from "node:timers/promises";
import { wire } from "@headroom/contracts";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { must } from "./support/results.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ label: "given-up", agents: [] });
}, 90_000);

afterAll(() => cluster?.stop());

it("DESIGN 5: what a caller has given up while the process stood still is not done when it goes on", async () => {
  const { client, orchestrator, ledger } = cluster;
  const { planId } = must(await client.plans.dispatch({ name: "waits", tasks: [ledger.task("waits")] }));
  const pid = orchestrator.pid();
  process.kill(pid, "SIGSTOP");
  const asked = [
    client.plans.hold(planId, { reason: "too late" }, { timeoutMs: 500 }),
    client.queue.hold({ reason: "too late" }, { timeoutMs: 500 }),
    client.plans.cancel(planId, "too late", { timeoutMs: 500 }),
    client.plans.dispatch({ name: "too-late", tasks: [ledger.task("too-late")] }, { timeoutMs: 500 }),
  ];
  const answers = await Promise.all(asked);
  // Longer than their deadlines, so that both are there when it goes on.
  await pause(300);
  process.kill(pid, "SIGCONT");
  expect(answers.map(({ kind }) => kind)).not.toContain("ok");
  // What is answered was read after those; what they had begun would be done soon after.
  must(await client.plans.get(planId, { timeoutMs: 20_000 }));
  await pause(500);
  const plan = must(await client.plans.get(planId));
  expect([plan.hold, plan.tasks.map(({ state }) => state)]).toEqual([undefined, [wire.TaskState.TASK_STATE_PAUSED]]);
  expect(must(await client.queue.status()).hold).toBeUndefined();
  expect(must(await client.plans.list()).plans.map(({ name }) => name)).toEqual(["waits"]);
});
