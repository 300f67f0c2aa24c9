import { waitFor } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { brokenBooks, nothingPromised, promised } from "./support/facts.ts";
import { isOurs } from "./support/leftover-tasks.ts";
import { must } from "./support/results.ts";
import { attemptStateWord, planStatusWord, statesOf } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ label: "restarts", env: { PAUSE_POLLING_INTERVAL_SECONDS: "2" } });
}, 90_000);

afterAll(() => cluster?.stop());

/** Tasks that run until the gate opens, and two more that wait for their room; resolves when the four run. */
async function load(name: string): Promise<{ readonly planId: string; readonly names: readonly string[] }> {
  const names = [1, 2, 3, 4, 5, 6].map((n) => `${name}-${n}`);
  const answer = must(
    await cluster.client.plans.dispatch({
      name,
      tasks: names.map((task) => cluster.ledger.task(task, { gate: name })),
    }),
  );
  await waitFor(() => names.slice(0, 4).every((task) => cluster.ledger.starts()[task] === 1), {
    describe: () => `four tasks of ${name} to run\n${cluster.logs()}`,
  });
  return { planId: answer.planId, names };
}

/** The plan ended well, every command ran once, and nothing is promised any more. */
async function endsWell({ planId, names }: Awaited<ReturnType<typeof load>>): Promise<void> {
  expect(planStatusWord((await cluster.planEnd(planId)).status)).toBe("SUCCEEDED");
  expect(await brokenBooks(cluster.sql, planId)).toEqual([]);
  const [starts, ends] = [cluster.ledger.starts(), cluster.ledger.ends()];
  expect(names.map((task) => [task, starts[task], ends[task]])).toEqual(names.map((task) => [task, 1, 1]));
  await nothingPromised(cluster);
  const [agent] = must(await cluster.client.capacity.listAvailable()).agents;
  expect(agent).toMatchObject({ cpuCoresAvailable: 4, memoryAvailableGb: 8 });
}

describe("processes come and go under load", () => {
  it("DESIGN 3: registry kill -9 and restart while tasks run: they finish, once, and capacity is right again", async () => {
    const work = await load("registry-kill");
    await cluster.registry.kill9();
    // The agent and the orchestrator go on without it; two of the four end while nobody keeps the books.
    cluster.registry.start();
    await cluster.ready();
    // What runs still has its room: neither given away twice nor forgotten.
    expect(await promised(cluster.sql)).toMatchObject({ reservations: 4, cpuMillicores: 4_000 });
    const listed = must(await cluster.client.fleet.list()).agents[0]!;
    expect(listed.capacity).toMatchObject({ cpuCoresAvailable: 0 });
    cluster.ledger.open("registry-kill");
    await endsWell(work);
  });

  it("R-PAUSE-9: work that ends while the registry is away is not lost, and what waits starts when it is back", async () => {
    const work = await load("registry-away");
    await cluster.registry.kill9();
    cluster.ledger.open("registry-away");
    await waitFor(() => work.names.slice(0, 4).every((task) => cluster.ledger.ends()[task] === 1));
    const during = must(
      await cluster.client.plans.dispatch({ name: "accepted-meanwhile", tasks: [cluster.ledger.task("meanwhile")] }),
    );
    expect(planStatusWord(during.status)).toBe("PAUSED");
    cluster.registry.start();
    await cluster.ready();
    await endsWell(work);
    await endsWell({ planId: during.planId, names: ["meanwhile"] });
  });

  it("agent kill -9 with running tasks: AGENT_RESTARTED, tried again, and the leftover process group is ended", async () => {
    const { ledger, client } = cluster;
    const answer = must(
      await client.plans.dispatch({
        name: "agent-kill",
        tasks: [ledger.task("ak", { gate: "agent-kill", script: "sleep 0.1" })],
      }),
    );
    await waitFor(() => ledger.starts()["ak"] === 1);
    const leftover = ledger.lines().find((line) => line.task === "ak")!;
    await cluster.agent.kill9();
    expect(isOurs(leftover.pid, ledger)).toBe(true);
    cluster.agent.start();
    await waitFor(() => !isOurs(leftover.pid, ledger), {
      describe: () => `the leftover to be ended\n${cluster.logs()}`,
    });
    await waitFor(() => ledger.starts()["ak"] === 2, {
      timeoutMs: 60_000,
      describe: () => `the task to be tried again\n${cluster.logs()}`,
    });
    ledger.open("agent-kill");
    expect(statesOf(await cluster.planEnd(answer.planId))).toEqual({ ak: "SUCCEEDED" });
    const task = must(await client.tasks.get(answer.tasks[0]!.taskId));
    const [second, first] = task.attempts;
    expect(task.attempts).toHaveLength(2);
    expect(first).toMatchObject({ attemptId: leftover.attemptId, reason: "AGENT_RESTARTED" });
    expect(attemptStateWord(second!.state)).toBe("SUCCEEDED");
    expect(await brokenBooks(cluster.sql, answer.planId)).toEqual([]);
    expect(ledger.ends()["ak"]).toBe(1);
    await nothingPromised(cluster);
  });

  it("agent SIGTERM: its work is evicted, goes back to the queue, and runs when the agent is back", async () => {
    const { ledger, client } = cluster;
    const answer = must(
      await client.plans.dispatch({ name: "agent-term", tasks: [ledger.task("at", { gate: "agent-term" })] }),
    );
    await waitFor(() => ledger.starts()["at"] === 1);
    const evicted = ledger.lines().find((line) => line.task === "at")!;
    expect(await cluster.agent.term()).toBe(0);
    expect(isOurs(evicted.pid, ledger), "the task outlived its agent").toBe(false);
    // Newest first, and a try that could not be delivered to the agent that goes may stand before it.
    const reasons = async (): Promise<readonly string[]> =>
      must(await client.tasks.get(answer.tasks[0]!.taskId)).attempts.map(({ reason }) => reason);
    await waitFor(async () => (await reasons()).includes("EVICTED"), {
      describe: () => `the eviction to be told\n${cluster.logs()}`,
    });
    cluster.agent.start();
    await waitFor(() => ledger.starts()["at"] === 2, {
      timeoutMs: 60_000,
      describe: () => `the task to run again\n${cluster.logs()}`,
    });
    ledger.open("agent-term");
    expect(statesOf(await cluster.planEnd(answer.planId))).toEqual({ at: "SUCCEEDED" });
    await nothingPromised(cluster);
  });

  it("DESIGN 3: a drain's deadline passes: what runs is ended, costs no run, and runs again where there is room", async () => {
    const { ledger, client } = cluster;
    const { agentId } = must(await client.fleet.list()).agents[0]!;
    const answer = must(
      await client.plans.dispatch({ name: "drain", tasks: [ledger.task("dr", { gate: "drain", maxAttempts: 1 })] }),
    );
    await waitFor(() => ledger.starts()["dr"] === 1);
    const drained = ledger.lines().find((line) => line.task === "dr")!;
    must(await client.fleet.drain(agentId, { deadlineMs: 1_000, reason: "e2e" }));
    await waitFor(async () => !must(await client.fleet.get(agentId)).draining, {
      timeoutMs: 60_000,
      describe: () => `the end of the drain\n${cluster.logs()}`,
    });
    expect(isOurs(drained.pid, ledger), "the task outlived the drain").toBe(false);
    const waiting = must(await client.tasks.get(answer.tasks[0]!.taskId));
    expect(waiting.attempts).toMatchObject([{ reason: "EVICTED" }]);
    // Nothing is left to run it: the only agent stays cordoned until an operator says otherwise.
    must(await client.fleet.uncordon(agentId));
    await waitFor(() => ledger.starts()["dr"] === 2, {
      timeoutMs: 60_000,
      describe: () => `the task to run again\n${cluster.logs()}`,
    });
    ledger.open("drain");
    expect(statesOf(await cluster.planEnd(answer.planId))).toEqual({ dr: "SUCCEEDED" });
    expect(ledger.ends()["dr"]).toBe(1);
    await nothingPromised(cluster);
  });

  it("SIGTERM of orchestrator and registry in turn under load: no accepted work is lost and agents reconnect", async () => {
    const work = await load("rolling");
    for (const service of [cluster.orchestrator, cluster.registry]) {
      expect(await service.term()).toBe(0);
      service.start();
      await cluster.ready();
      const more = must(
        await cluster.client.plans.dispatch({
          name: `during-${service.name}`,
          tasks: [cluster.ledger.task(`rolling-${service.name}`)],
        }),
      );
      expect(planStatusWord(more.status)).toBe("PAUSED");
    }
    cluster.ledger.open("rolling");
    await endsWell(work);
    await waitFor(() => cluster.ledger.ends()[`rolling-${cluster.registry.name}`] === 1);
    expect(cluster.ledger.starts()[`rolling-${cluster.orchestrator.name}`]).toBe(1);
    await nothingPromised(cluster);
  });
});
