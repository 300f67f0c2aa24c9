import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { createFaultyNetwork, database } from "../processes/faulty-network.ts";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { must } from "./support/results.ts";
import { planStatusWord } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 400_000 });

const network = createFaultyNetwork();
let cluster: Cluster;

beforeAll(async () => {
  // A slow machine is not to be put on probation.
  const env = { HEADROOM_FLAPS_TOLERATED: "1000" };
  cluster = await startCluster({ label: "half-open", startMs: 200_000, ways: network, env });
}, 240_000);

afterAll(async () => {
  await cluster?.stop();
  await network.close();
});

it("a database that answers nothing any more does not keep a service from stopping in good order", async () => {
  const { registry, orchestrator, ledger, client } = cluster;
  // Both have something to write just now.
  must(await client.plans.dispatch({ name: "busy", tasks: [ledger.task("busy", { script: "sleep 3" })] }));
  const roads = network.roads.filter(({ callee }) => callee === database);
  expect(roads.every(({ connections }) => connections > 0)).toBe(true);
  for (const road of roads) road.forget();
  const mends = roads.flatMap(({ there, back }) => [there.cut(), back.cut()]);
  expect(await Promise.all([registry.term(), orchestrator.term()])).toEqual([0, 0]);
  for (const mend of mends) mend();
  registry.start();
  orchestrator.start();
  await cluster.ready({ timeoutMs: 200_000 });
  const answer = must(await client.plans.dispatch({ name: "after", tasks: [ledger.task("after")] }));
  expect(planStatusWord((await cluster.planEnd(answer.planId, 120_000)).status)).toBe("SUCCEEDED");
});
