import { waitFor } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { bundleTestProgram } from "./support/bundle.ts";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { brokenBooks, nothingPromised, promised, queueRows } from "./support/facts.ts";
import { must } from "./support/results.ts";
import { missingSteps, recordsOf } from "./support/story.ts";
import { agentStatusWord, pauseReasonWord, planStatusWord, statesOf, taskStateWord } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

describe("saturate, pause, room, resume: by events alone", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ label: "pause", env: { PAUSE_POLLING_INTERVAL_SECONDS: "300" } });
  }, 90_000);
  afterAll(() => cluster?.stop());

  it("R-PAUSE-1 R-PAUSE-5: a full fleet answers paused with reasons; R-PAUSE-6: room resumes the work, oldest first", async () => {
    const { client, ledger } = cluster;
    const first = must(
      await client.plans.dispatch({
        name: "saturate",
        tasks: [1, 2, 3, 4, 5, 6].map((n) => ledger.task(`s${n}`, { gate: "saturate" })),
      }),
    );
    expect(planStatusWord(first.status)).toBe("PARTLY_PAUSED");
    expect(first).toMatchObject({ pausedTasks: 2, dispatchedTasks: 4 });
    for (const waiting of first.tasks.slice(4)) {
      expect(taskStateWord(waiting.state)).toBe("PAUSED");
      expect(["NO_AGENT_FITS_NOW", "FLEET_BELOW_THRESHOLD"]).toContain(pauseReasonWord(waiting.pauseReason));
      expect(waiting.sentence).not.toBe("");
    }

    // The gate judges by the watched fleet, which learns of the promises a moment after they are made.
    await waitFor(async () => must(await client.queue.check()).shouldPause);
    const second = must(
      await client.plans.dispatch({ name: "behind", tasks: [ledger.task("b1"), ledger.task("b2"), ledger.task("b3")] }),
    );
    expect(planStatusWord(second.status)).toBe("PAUSED");
    expect(second).toMatchObject({ pausedTasks: 3, dispatchedTasks: 0 });
    expect(second.tasks.map((task) => pauseReasonWord(task.pauseReason))).toEqual(
      Array(3).fill("FLEET_BELOW_THRESHOLD"),
    );

    const check = must(await client.queue.check());
    expect(check).toMatchObject({ shouldPause: true, threshold: 0.2, agentsOnline: 1, averageCpuFreePercent: 0 });
    expect(must(await client.queue.status()).waitingTasks).toBe(5);
    expect(await promised(cluster.sql)).toMatchObject({ reservations: 4, cpuMillicores: 4_000 });

    // R-PAUSE-10: people read the pause with plain SQL.
    const paused = await cluster.sql<{ status: string; reason: string; resumed_at: Date | null; state: string }>(
      `SELECT q.status, q.reason, q.resumed_at, t.state
         FROM orchestrator.pause_queue q JOIN orchestrator.tasks t USING (task_id) WHERE q.plan_id = $1`,
      [second.planId],
    );
    expect(paused).toEqual(
      [1, 2, 3].map(() => ({
        status: "waiting",
        reason: "FLEET_BELOW_THRESHOLD",
        resumed_at: null,
        state: "paused",
      })),
    );

    ledger.open("saturate");
    for (const { planId } of [first, second]) {
      expect(planStatusWord((await cluster.planEnd(planId)).status)).toBe("SUCCEEDED");
      expect(await brokenBooks(cluster.sql, planId)).toEqual([]);
    }
    expect(await queueRows(cluster.sql, first.planId)).toEqual({ s5: ["resumed"], s6: ["resumed"] });
    expect(await queueRows(cluster.sql, second.planId)).toEqual({ b1: ["resumed"], b2: ["resumed"], b3: ["resumed"] });
    const starts = ledger.starts();
    for (const task of [...first.tasks, ...second.tasks]) expect(starts[task.name], task.name).toBe(1);
    const order = ledger
      .lines()
      .filter((line) => line.what === "start")
      .map((line) => line.task);
    expect(order.indexOf("s5")).toBeLessThan(order.indexOf("b3"));
    await nothingPromised(cluster);

    const resumed = await cluster.sql<{ fine: boolean }>(
      `SELECT resumed_at >= paused_at AND last_checked IS NOT NULL AS fine FROM orchestrator.pause_queue WHERE plan_id = $1`,
      [second.planId],
    );
    expect(resumed).toEqual([1, 2, 3].map(() => ({ fine: true })));
  });

  it("R-PAUSE-10: one plan_id leads through the logs of all three programs", async () => {
    const answer = must(
      await cluster.client.plans.dispatch({
        name: "story",
        tasks: [1, 2, 3, 4, 5].map((n) =>
          cluster.ledger.task(`story${n}`, { env: { SECRET_OF_TASK: "s3cr3t-value" } }),
        ),
      }),
    );
    expect(answer.pausedTasks).toBeGreaterThan(0);
    await cluster.planEnd(answer.planId);
    await nothingPromised(cluster);
    const { planId } = answer;
    const of = (process: { log(): string }) => recordsOf(process.log(), planId);
    expect(
      missingSteps(of(cluster.orchestrator), [
        /plan accepted/,
        /task paused/,
        /task assigned.*planner|planner.*task assigned/,
        /resume-loop/,
        /task succeeded/,
      ]),
    ).toEqual([]);
    expect(missingSteps(of(cluster.registry), [/room is promised/, /given back|omitted/])).toEqual([]);
    expect(missingSteps(of(cluster.agent), [/accepted/, /started/, /ended/])).toEqual([]);
    const attemptsTold = new Set(of(cluster.agent).flatMap(({ attempt_id }) => attempt_id ?? []));
    expect(attemptsTold.size).toBe(5);
    for (const one of [cluster.registry, cluster.orchestrator, cluster.agent]) {
      expect((one.log() + one.output()).includes("s3cr3t-value"), `${one.name} logs a task's environment`).toBe(false);
    }
  });

  it("R-PAUSE-3: each decision is logged with its figures", () => {
    const decisions = cluster.orchestrator
      .log()
      .split("\n")
      .filter((line) => line.includes("agents_online"));
    expect(decisions.length).toBeGreaterThan(0);
    expect(decisions.some((line) => /cpu/i.test(line))).toBe(true);
    expect(cluster.orchestrator.log()).toMatch(/resumed \d+, \d+ still waiting/);
  });

  it("R-CAP-5: work that fits no agent waits with its reason, and starts when one joins", async () => {
    const { client, ledger } = cluster;
    const answer = must(
      await client.plans.dispatch({
        name: "wide",
        tasks: [ledger.task("wide", { needs: { cpuCores: 6, memoryGb: 1 } })],
      }),
    );
    expect(planStatusWord(answer.status)).toBe("PAUSED");
    expect(pauseReasonWord(answer.tasks[0]!.pauseReason)).toBe("NO_AGENT_CAN_EVER_FIT");
    expect(answer.tasks[0]!.sentence).toMatch(/core/i);
    const explained = must(await client.tasks.explain(answer.tasks[0]!.taskId));
    expect(explained.sentence).not.toBe("");

    const joined = await cluster.addAgent({ cpuCores: 8, memoryGb: 16 });
    const ended = await cluster.planEnd(answer.planId);
    expect(statesOf(ended)).toEqual({ wide: "SUCCEEDED" });
    await nothingPromised(cluster);

    expect(await joined.term()).toBe(0);
    await waitFor(async () => {
      const words = must(await client.fleet.list()).agents.map(({ status }) => agentStatusWord(status));
      return words.toSorted().join() === "OFFLINE,ONLINE";
    });
  });

  it("R-PAUSE-6: nothing is resumed before its resume_after, and then without a poll", async () => {
    const { client, ledger } = cluster;
    const notBefore = new Date(Date.now() + 4_000);
    const answer = must(
      await client.plans.dispatch({
        name: "later",
        tasks: [ledger.task("later", { resumeAfter: { seconds: Math.floor(notBefore.getTime() / 1_000), nanos: 0 } })],
      }),
    );
    expect(pauseReasonWord(answer.tasks[0]!.pauseReason)).toBe("RESUME_AFTER");
    expect(must(await client.queue.resume()).resumedTasks).toBe(0);
    await cluster.planEnd(answer.planId);
    const [row] = await cluster.sql<{ fine: boolean }>(
      `SELECT resumed_at >= resume_after AS fine FROM orchestrator.pause_queue WHERE plan_id = $1`,
      [answer.planId],
    );
    expect(row).toEqual({ fine: true });
    expect(ledger.starts()["later"]).toBe(1);
  });

  it("R-PAUSE-8: waiting work survives a kill -9 of the orchestrator and is resumed once", async () => {
    const { client, ledger } = cluster;
    const running = must(
      await client.plans.dispatch({
        name: "holders",
        tasks: [1, 2, 3, 4].map((n) => ledger.task(`h${n}`, { gate: "holders" })),
      }),
    );
    const waiting = must(
      await client.plans.dispatch({ name: "survivors", tasks: [1, 2, 3].map((n) => ledger.task(`v${n}`)) }),
    );
    expect(planStatusWord(waiting.status)).toBe("PAUSED");
    await waitFor(() => [1, 2, 3, 4].every((n) => ledger.starts()[`h${n}`] === 1));
    await cluster.orchestrator.kill9();
    ledger.open("holders");
    cluster.orchestrator.start();
    await cluster.ready({ agents: 1 });
    for (const { planId } of [running, waiting]) {
      expect(planStatusWord((await cluster.planEnd(planId)).status)).toBe("SUCCEEDED");
      expect(await brokenBooks(cluster.sql, planId)).toEqual([]);
    }
    const starts = ledger.starts();
    for (const name of ["h1", "h2", "h3", "h4", "v1", "v2", "v3"]) expect(starts[name], name).toBe(1);
    await nothingPromised(cluster);
  });
});

describe("with events cut off", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ label: "deaf", env: { PAUSE_POLLING_INTERVAL_SECONDS: "1" } });
    const program = await bundleTestProgram(new URL("./support/orchestrator-under-test.ts", import.meta.url));
    await cluster.orchestrator.term();
    cluster.orchestrator.start({ argv: [process.execPath, program], env: { HEADROOM_TEST_DEAF: "yes" } });
    await cluster.ready();
  }, 90_000);
  afterAll(() => cluster?.stop());

  it("R-PAUSE-7: the poll alone finds the room that no event told of, and counts that", async () => {
    const { client, ledger } = cluster;
    const { agentId } = must(await client.fleet.list()).agents[0]!;
    must(await client.fleet.cordon(agentId, "for the test"));
    await waitFor(async () => must(await client.capacity.listAvailable()).agents.length === 0);
    const answer = must(await client.plans.dispatch({ name: "unheard", tasks: [ledger.task("unheard")] }));
    expect(planStatusWord(answer.status)).toBe("PAUSED");
    expect(pauseReasonWord(answer.tasks[0]!.pauseReason)).toBe("ALL_CORDONED");
    // The pass that the new plan itself gave cause for is over; from here on only the poll looks.
    const passes = new Set<string>();
    await waitFor(async () => {
      passes.add(JSON.stringify(must(await client.queue.status()).lastPassAt));
      return passes.size >= 4;
    });
    must(await client.fleet.uncordon(agentId));
    expect(statesOf(await cluster.planEnd(answer.planId))).toEqual({ unheard: "SUCCEEDED" });
    expect(await brokenBooks(cluster.sql, answer.planId)).toEqual([]);
    // A wake-up that the poll had to make up for is a bug elsewhere, and so it is counted.
    await waitFor(async () => {
      const page = await (await fetch(`http://${cluster.orchestrator.httpAddress}/metrics`)).text();
      return /^headroom_poll_found_tasks_total(?:\{[^}]*\})? 1$/m.test(page);
    });
  });
});
