import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { nothingPromised } from "./support/facts.ts";
import { must } from "./support/results.ts";
import { openSlowLink, type SlowLink } from "./support/slow-link.ts";
import { planStatusWord } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;
let link: SlowLink;

beforeAll(async () => {
  cluster = await startCluster({ label: "late", agents: [] });
  link = await openSlowLink(cluster.registry.grpcAddress, 400);
  await cluster.addAgent({ cpuCores: 4, memoryGb: 8, env: { HEADROOM_REGISTRY_ADDR: link.address } });
  await cluster.ready();
}, 90_000);

afterAll(async () => {
  await cluster?.stop();
  await link?.close();
});

describe("an agent whose reports come 400 ms late, and a registry whose commits take 100 ms", () => {
  it("DESIGN 3: a report that is older than a release does not keep the room, whatever comes in between", async () => {
    const { client, ledger, sql } = cluster;
    await sql(
      "CREATE FUNCTION slow_disk() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END'",
    );
    await sql("CREATE TRIGGER slow_disk AFTER INSERT OR UPDATE ON registry.reservations EXECUTE FUNCTION slow_disk()");
    for (let round = 1; round <= 3; round += 1) {
      // The report of the first end still lists the second. It arrives when the second has been released, and the report of the
      // second end while that contradiction is being committed.
      const tasks = [1, 1.04 + round * 0.01].map((seconds, n) =>
        ledger.task(`late-${round}-${n}`, { script: `sleep ${seconds}` }),
      );
      const { planId } = must(await client.plans.dispatch({ name: `late-${round}`, tasks }));
      expect(planStatusWord((await cluster.planEnd(planId)).status)).toBe("SUCCEEDED");
      // Less than the 60 s after which the agent sends a sample anyhow: what is forgotten until then is found.
      await nothingPromised(cluster, { timeoutMs: 20_000, forMs: 1_000 });
    }
    const [agent] = must(await client.capacity.listAvailable()).agents;
    expect(agent).toMatchObject({ cpuCoresAvailable: 4, memoryAvailableGb: 8 });
  });
});
