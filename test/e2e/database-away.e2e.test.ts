import { type PrivatePostgres, startPrivatePostgres, waitFor } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { brokenBooks, nothingPromised } from "./support/facts.ts";
import { must, mustFail } from "./support/results.ts";
import { sqlOn } from "./support/sql.ts";
import { planStatusWord } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

let postgres: PrivatePostgres;
let cluster: Cluster;

beforeAll(async () => {
  postgres = await startPrivatePostgres();
  cluster = await startCluster({
    label: "database-away",
    database: { connectionString: postgres.connectionString, sql: sqlOn(postgres.connectionString) },
    env: { PAUSE_POLLING_INTERVAL_SECONDS: "2", PAUSE_ERROR_DELAY_SECONDS: "2" },
  });
}, 120_000);

afterAll(async () => {
  await cluster?.stop();
  await postgres?.remove();
});

describe("PostgreSQL goes away and comes back", () => {
  it("R-PAUSE-9: callers get UNAVAILABLE with the way out, running work ends, and everything accepted ends", async () => {
    const { client, ledger } = cluster;
    const names = [1, 2, 3, 4, 5, 6].map((n) => `db-${n}`);
    const accepted = must(
      await client.plans.dispatch({ name: "before", tasks: names.map((name) => ledger.task(name, { gate: "db" })) }),
    );
    await waitFor(() => names.slice(0, 4).every((name) => ledger.starts()[name] === 1));

    await postgres.stop();
    const refused = mustFail(
      await client.plans.dispatch({ name: "refused", tasks: [ledger.task("refused")] }, { timeoutMs: 20_000 }),
    );
    expect(refused).toMatchObject({ kind: "unavailable", code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    expect(refused.message).toMatch(/database/i);
    expect(refused.message).not.toContain(postgres.dataDir);
    expect(refused.retryAfterMs).toBeGreaterThan(0);
    expect(mustFail(await client.plans.get(accepted.planId, { timeoutMs: 20_000 })).code).toBe("UNAVAILABLE");
    // The registry answers from memory.
    expect(must(await client.fleet.list()).agents).toHaveLength(1);
    expect(must(await client.fleet.list()).agents[0]!.capacity!.cpuCoresAvailable).toBe(0);

    ledger.open("db");
    await waitFor(() => names.slice(0, 4).every((name) => ledger.ends()[name] === 1), {
      describe: () => `running work to end without a database\n${cluster.logs()}`,
    });
    for (const one of [cluster.registry, cluster.orchestrator, cluster.agent]) {
      expect(one.isRunning(), `${one.name} died\n${cluster.logs()}`).toBe(true);
    }

    await postgres.start();
    expect(planStatusWord((await cluster.planEnd(accepted.planId, 90_000)).status)).toBe("SUCCEEDED");
    expect(await brokenBooks(cluster.sql, accepted.planId)).toEqual([]);
    const starts = ledger.starts();
    expect(names.map((name) => starts[name])).toEqual(names.map(() => 1));
    expect(starts["refused"]).toBeUndefined();
    await nothingPromised(cluster);
    const after = must(await client.plans.dispatch({ name: "after", tasks: [ledger.task("after")] }));
    await cluster.planEnd(after.planId);
  });

  it("R-PAUSE-9: away at the start, services wait, say how to mend it, and begin when it is there", async () => {
    const { client, ledger } = cluster;
    await Promise.all([cluster.orchestrator.term(), cluster.registry.term()]);
    await postgres.stop();
    const from = [cluster.orchestrator.log().length, cluster.registry.log().length] as const;
    cluster.registry.start();
    cluster.orchestrator.start();
    for (const [index, service] of [cluster.orchestrator, cluster.registry].entries()) {
      await waitFor(() => /DATABASE_URL|database/i.test(service.log().slice(from[index])), {
        describe: () => `${service.name} to say that its database is away\n${cluster.logs()}`,
      });
    }
    await postgres.start();
    await cluster.ready({ timeoutMs: 60_000 });
    const answer = must(await client.plans.dispatch({ name: "late-start", tasks: [ledger.task("late-start")] }));
    expect(planStatusWord((await cluster.planEnd(answer.planId)).status)).toBe("SUCCEEDED");
  });

  it("a crash of PostgreSQL (kill -9) in mid-flight loses nothing that was accepted", async () => {
    const { client, ledger } = cluster;
    const names = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `crash-${n}`);
    const accepted = must(
      await client.plans.dispatch({ name: "crash", tasks: names.map((name) => ledger.task(name)) }),
    );
    postgres.kill9();
    await waitFor(async () => (await cluster.sql("SELECT 1 AS one")).length === 1, { timeoutMs: 30_000 });
    expect(planStatusWord((await cluster.planEnd(accepted.planId, 90_000)).status)).toBe("SUCCEEDED");
    expect(await brokenBooks(cluster.sql, accepted.planId)).toEqual([]);
    const starts = ledger.starts();
    expect(names.map((name) => starts[name])).toEqual(names.map(() => 1));
    await nothingPromised(cluster);
  });
});
