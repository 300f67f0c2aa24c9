import { readFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createSmallDisks, type SmallDisk, type SmallDisks, whyNoSmallDisks } from "../processes/small-disks.ts";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { brokenBooks, nothingPromised } from "./support/facts.ts";
import { must } from "./support/results.ts";
import { planStatusWord } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 400_000 });

// A disk of its own, to be filled, is given to root alone.
describe.runIf(whyNoSmallDisks() === null)("the disk of a desktop is full", () => {
  let disks: SmallDisks;
  let disk: SmallDisk;
  let cluster: Cluster;

  beforeAll(async () => {
    disks = createSmallDisks();
    disk = disks.make("agent-1", 16);
    cluster = await startCluster({
      label: "full-disk",
      startMs: 200_000,
      env: {
        PAUSE_POLLING_INTERVAL_SECONDS: "2",
        // A slow machine is not to be given up, nor to be put on probation.
        HEADROOM_OFFLINE_GRACE_SECONDS: "60",
        HEADROOM_FLAPS_TOLERATED: "1000",
      },
      homeOf: (name) => (name === "agent-1" ? disk.path : join(disks.dir, name)),
    });
  }, 240_000);

  afterAll(async () => {
    await cluster?.stop();
    await disks?.remove();
  });

  const journal = (): string => readFileSync(join(disk.path, "agent", "journal.jsonl"), "utf8");

  it("I1: what runs ends and counts, new work is refused and runs later, and the journal catches up", async () => {
    const { client, ledger, agent } = cluster;
    const running = must(
      await client.plans.dispatch({ name: "running", tasks: [ledger.task("running", { gate: "disk" })] }),
    );
    await waitFor(() => ledger.starts()["running"] === 1);
    disk.fill();
    // The last page of a file has some room left; after a few records it has none.
    const names = Array.from({ length: 12 }, (_, index) => `meanwhile-${index + 1}`);
    const meanwhile = must(
      await client.plans.dispatch({ name: "meanwhile", tasks: names.map((name) => ledger.task(name)) }),
    );
    // Its own log is on the full disk: what it says goes to its service manager.
    await waitFor(() => agent.output().includes("no work is taken until it can"), {
      timeoutMs: 120_000,
      describe: () => `the agent to say that it takes nothing\n${cluster.logs()}`,
    });
    ledger.open("disk");
    expect(planStatusWord((await cluster.planEnd(running.planId, 120_000)).status)).toBe("SUCCEEDED");
    expect(agent.isRunning()).toBe(true);
    disk.free();
    expect(planStatusWord((await cluster.planEnd(meanwhile.planId, 120_000)).status)).toBe("SUCCEEDED");
    expect(ledger.starts()).toEqual(Object.fromEntries(["running", ...names].map((name) => [name, 1])));
    for (const { planId } of [running, meanwhile]) expect(await brokenBooks(cluster.sql, planId)).toEqual([]);
    await nothingPromised(cluster);
    // A start is told again with how its program ended.
    const { attemptId } = ledger.lines()[0]!;
    const kinds = journal()
      .split("\n")
      .filter((line) => line.includes(attemptId))
      .map((line) => /"kind":"(\w+)"/.exec(line)?.[1]);
    expect(kinds).toEqual(["accepted", "started", "started", "finished", "acked"]);
  });

  it("it stops in good order, and started again it waits for room and joins by itself", async () => {
    const { agent } = cluster;
    disk.fill();
    expect(await agent.term()).toBe(0);
    const said = agent.output().length;
    agent.start();
    await waitFor(() => agent.output().slice(said).includes("is full: the agent begins when there is room"), {
      timeoutMs: 120_000,
      describe: () => `the agent to say why it does not begin\n${cluster.logs()}`,
    });
    expect(agent.isRunning()).toBe(true);
    disk.free();
    await cluster.ready({ timeoutMs: 120_000 });
    const answer = must(await cluster.client.plans.dispatch({ name: "after", tasks: [cluster.ledger.task("after")] }));
    expect(planStatusWord((await cluster.planEnd(answer.planId, 120_000)).status)).toBe("SUCCEEDED");
  });
});
