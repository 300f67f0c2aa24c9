import { waitFor } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { brokenBooks, nothingPromised } from "./support/facts.ts";
import { must } from "./support/results.ts";
import { watchPromises } from "./support/promise-watch.ts";
import { planStatusWord } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({
    label: "replicas",
    registries: 2,
    orchestrators: 2,
    agents: [
      { cpuCores: 3, memoryGb: 6, gpus: [{ model: "RTX 4090", vramGb: 24 }] },
      { cpuCores: 2, memoryGb: 4 },
    ],
    env: { PAUSE_POLLING_INTERVAL_SECONDS: "2" },
  });
}, 120_000);

afterAll(() => cluster?.stop());

describe("two registries and two orchestrators on one database", () => {
  it("DESIGN 3: a burst through both never promises more than the machines have, and each command runs once", async () => {
    const { ledger } = cluster;
    const watch = watchPromises(cluster.sql);
    const plans = Array.from({ length: 8 }, (_, plan) => ({
      name: `burst-${plan}`,
      tasks: [
        ...[1, 2, 3, 4].map((n) => ledger.task(`burst-${plan}-cpu-${n}`, { script: "sleep 0.2" })),
        ledger.task(`burst-${plan}-gpu`, { needs: { cpuCores: 0.5, gpuVramGb: 9 }, script: "sleep 0.2" }),
      ],
    }));
    const answers = await Promise.all(
      plans.map(async (plan, index) => must(await cluster.clientOf(index % 2, index % 2).plans.dispatch(plan))),
    );
    for (const { planId } of answers) {
      expect(planStatusWord((await cluster.planEnd(planId, 90_000)).status)).toBe("SUCCEEDED");
      expect(await brokenBooks(cluster.sql, planId)).toEqual([]);
    }
    await nothingPromised(cluster);
    const seen = await watch.end();
    expect(seen.looks).toBeGreaterThan(5);
    expect(seen.overPromised).toEqual([]);
    expect(seen.mostPromisedMillicores).toBeGreaterThan(0);
    const starts = ledger.starts();
    const names = plans.flatMap((plan) => plan.tasks.map((task) => task.name!));
    expect(names.filter((name) => starts[name] !== 1)).toEqual([]);
  });

  it("R-PAUSE-8: one orchestrator dies in the burst, the other ends all that was accepted, nothing twice", async () => {
    const { ledger } = cluster;
    const plans = Array.from({ length: 4 }, (_, plan) => ({
      name: `half-${plan}`,
      tasks: [1, 2, 3, 4, 5].map((n) => ledger.task(`half-${plan}-${n}`, { script: "sleep 0.3" })),
    }));
    const answers = await Promise.all(
      plans.map(async (plan, index) => must(await cluster.clientOf(index % 2, index % 2).plans.dispatch(plan))),
    );
    const names = plans.flatMap((plan) => plan.tasks.map((task) => task.name!));
    await waitFor(() => names.some((name) => ledger.ends()[name] === 1));
    const [survivor, victim] = [cluster.orchestrators[0]!, cluster.orchestrators[1]!];
    await victim.kill9();
    expect(survivor.isRunning()).toBe(true);
    // Its agent knows one address; it comes back when that does, and its work with it.
    victim.start();
    for (const { planId } of answers) {
      expect(planStatusWord((await cluster.planEnd(planId, 90_000)).status)).toBe("SUCCEEDED");
      expect(await brokenBooks(cluster.sql, planId)).toEqual([]);
    }
    const starts = ledger.starts();
    expect(names.filter((name) => starts[name] !== 1)).toEqual([]);
    await nothingPromised(cluster);
  });

  it("R-CAP-5: one registry dies, its agent is no longer offered by the other; it comes back and so does its agent", async () => {
    const { ledger } = cluster;
    const [survivor, victim] = [cluster.clientOf(0, 0), cluster.registries[1]!];
    const offers = (count: number): Promise<unknown> =>
      waitFor(async () => must(await survivor.capacity.listAvailable()).agents.length === count, {
        describe: () => `the other registry to offer ${count} agents\n${cluster.logs()}`,
      });
    // What ended a moment ago on the other's agent may not be known here yet: it would be missing for that reason.
    await offers(2);
    await victim.kill9();
    await offers(1);
    // Work goes on where there is room that somebody vouches for.
    const answer = must(await survivor.plans.dispatch({ name: "half-fleet", tasks: [ledger.task("half-fleet")] }));
    expect(planStatusWord((await cluster.planEnd(answer.planId)).status)).toBe("SUCCEEDED");
    victim.start();
    await cluster.ready();
    // Its new session is heard of before the first figures of it, which alone are offered.
    await offers(2);
    await nothingPromised(cluster);
  });
});
