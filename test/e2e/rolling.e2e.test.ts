/** All services are restarted one after the other, under agents and work, with both replicas of each behind one address. */
import { type Balancer, startBalancer, waitFor } from "@headroom/testing";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { brokenBooks, nothingPromised } from "./support/facts.ts";
import { must } from "./support/results.ts";
import { planStatusWord } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 180_000 });

let cluster: Cluster;
const balancers: Balancer[] = [];

beforeAll(async () => {
  cluster = await startCluster({
    label: "rolling",
    registries: 2,
    orchestrators: 2,
    agents: [1, 2, 3].map(() => ({ cpuCores: 2, memoryGb: 4 })),
    env: {
      PAUSE_POLLING_INTERVAL_SECONDS: "2",
      // Real time, and other tests beside: an agent may be late by seconds without being suspect.
      HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "8",
    },
    ways: {
      async toService(_caller, replicas) {
        const balancer = await startBalancer(replicas.map(({ address }) => Number(address.split(":").at(-1))));
        balancers.push(balancer);
        return `${balancer.address.host}:${balancer.address.port}`;
      },
      toDatabase: (_caller, connectionString) => Promise.resolve(connectionString),
    },
  });
}, 120_000);

afterAll(async () => {
  await cluster?.stop();
  await Promise.all(balancers.map((balancer) => balancer.close()));
});

it("DESIGN-4: a rolling restart of all services makes no agent SUSPECT, is nobody's flap, and loses or repeats nothing", async () => {
  const { ledger, client, registries, orchestrators } = cluster;
  const names = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `rolling-${n}`);
  const tasks = names.map((name) => ledger.task(name, { gate: "rolling" }));
  const { planId } = must(await client.plans.dispatch({ name: "rolling", tasks }));
  await waitFor(() => names.filter((name) => ledger.starts()[name] === 1).length === 6, {
    describe: () => `six tasks to run\n${cluster.logs()}`,
  });
  for (const service of [...registries, ...orchestrators]) {
    expect(await service.term(), service.name).toBe(0);
    service.start();
    await cluster.ready();
  }
  ledger.open("rolling");
  expect(planStatusWord((await cluster.planEnd(planId)).status)).toBe("SUCCEEDED");
  expect(await brokenBooks(cluster.sql, planId)).toEqual([]);
  const [starts, ends] = [ledger.starts(), ledger.ends()];
  expect(names.map((name) => [name, starts[name], ends[name]])).toEqual(names.map((name) => [name, 1, 1]));
  await nothingPromised(cluster);
  for (const registry of registries) expect(registry.log(), registry.name).not.toContain("agent is suspect");
  expect(
    await cluster.sql("SELECT * FROM registry.agent_liveness WHERE flaps > 0 OR probation_until IS NOT NULL"),
  ).toEqual([]);
});
