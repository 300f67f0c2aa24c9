import { wire } from "@headroom/client";
import { waitFor } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { brokenBooks, nothingPromised, queueRows } from "./support/facts.ts";
import { isOurs } from "./support/leftover-tasks.ts";
import { readOutput } from "./support/output.ts";
import { must, mustFail } from "./support/results.ts";
import { attemptStateWord, pauseReasonWord, planStatusWord, statesOf, taskStateWord } from "./support/words.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({
    label: "dispatch",
    agents: [{ cpuCores: 4, memoryGb: 8, gpus: [{ model: "RTX 4090", vramGb: 24 }] }],
    // Only events may move work here: a poll would hide a missed one.
    env: { PAUSE_POLLING_INTERVAL_SECONDS: "300" },
  });
}, 90_000);

afterAll(() => cluster?.stop());

describe("from heartbeat to work done", () => {
  it("R-CAP-1 R-CAP-7: the capacity answers show what the agent declared, single and fleet alike", async () => {
    const { agents } = must(await cluster.client.capacity.listAvailable({ minGpuVramGb: 24, minCpuCores: 4 }));
    expect(agents).toHaveLength(1);
    const [listed] = agents;
    expect(listed).toMatchObject({
      cpuCoresAvailable: 4,
      cpuCoresPhysical: 4,
      memoryTotalGb: 8,
      gpuVramAvailableGb: 24,
      gpuVramTotalGb: 24,
      gpuType: "RTX 4090",
      attached: true,
    });
    expect(listed!.declared.toSorted()).toEqual(["cpu", "gpu", "memory"]);
    const single = must(await cluster.client.capacity.getAgent(listed!.agentId));
    for (const figure of ["cpuCoresAvailable", "memoryAvailableGb", "gpuVramAvailableGb"] as const) {
      expect(single[figure], figure).toBe(listed![figure]);
    }
  });

  it("R-SHAPE-1: a task runs on the agent; its output, exit code and measured use come back", async () => {
    const answer = must(
      await cluster.client.plans.dispatch({
        name: "greeting",
        tasks: [
          cluster.ledger.task("hello", {
            script:
              'echo "hello from $GREETER"; echo "and a warning" >&2; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done',
            env: { GREETER: "the task" },
          }),
        ],
      }),
    );
    expect(planStatusWord(answer.status)).toBe("DISPATCHED");
    expect(answer).toMatchObject({ pausedTasks: 0, dispatchedTasks: 1, duplicate: false });

    const plan = await cluster.planEnd(answer.planId);
    expect(planStatusWord(plan.status)).toBe("SUCCEEDED");
    const task = must(await cluster.client.tasks.get(answer.tasks[0]!.taskId));
    expect(task.attempts).toHaveLength(1);
    const [attempt] = task.attempts;
    expect(attempt).toMatchObject({ exitCode: 0, signal: "", number: 1, agentId: answer.tasks[0]!.agentId });
    expect(attemptStateWord(attempt!.state)).toBe("SUCCEEDED");
    expect(attempt!.used!.cpuSeconds).toBeGreaterThan(0);
    expect(attempt!.used!.wallTime).toBeDefined();
    expect(attempt!.reserved!.cpuCores).toBe(1);

    const output = await readOutput(cluster.client, task.taskId);
    expect(output.text("STDOUT")).toBe("hello from the task\n");
    expect(output.text("STDERR")).toBe("and a warning\n");
    expect(cluster.ledger.starts()["hello"]).toBe(1);
    await nothingPromised(cluster);
  });

  it("a command that fails tells its exit code; one that does not exist tells what was looked for", async () => {
    const answer = must(
      await cluster.client.plans.dispatch({
        name: "failures",
        tasks: [
          cluster.ledger.task("exit-7", { script: "exit 7" }),
          { name: "missing", command: { argv: ["headroom-no-such-program", "--help"] }, maxAttempts: 1 },
        ],
      }),
    );
    const plan = await cluster.planEnd(answer.planId);
    expect(planStatusWord(plan.status)).toBe("FAILED");
    expect(statesOf(plan)).toEqual({ "exit-7": "FAILED", missing: "FAILED" });
    const [failed, missing] = await Promise.all(
      answer.tasks.map(async ({ taskId }) => must(await cluster.client.tasks.get(taskId))),
    );
    expect(failed!.attempts[0]).toMatchObject({ exitCode: 7, reason: "EXITED" });
    expect(missing!.attempts[0]!.reason).toBe("SPAWN_FAILED");
    expect(missing!.outcomeReason).toContain("headroom-no-such-program");
  });

  it("a run_timeout ends the whole process group, TIMED_OUT", async () => {
    const answer = must(
      await cluster.client.plans.dispatch({
        name: "too-long",
        tasks: [
          cluster.ledger.task("sleeper", {
            script: "sleep 90 & wait",
            runTimeout: { seconds: 1, nanos: 0 },
            maxAttempts: 1,
          }),
        ],
      }),
    );
    const plan = await cluster.planEnd(answer.planId);
    expect(statesOf(plan)).toEqual({ sleeper: "FAILED" });
    const task = must(await cluster.client.tasks.get(answer.tasks[0]!.taskId));
    expect(task.attempts[0]!.reason).toBe("TIMED_OUT");
    const [started] = cluster.ledger.lines().filter((line) => line.task === "sleeper");
    await waitFor(() => !isOurs(started!.pid, cluster.ledger), { describe: "the group of the task to be gone" });
    expect(cluster.ledger.ends()["sleeper"]).toBeUndefined();
    await nothingPromised(cluster);
  });

  it("R-PAUSE-5: dependencies run in order, and what depends on a failure is cancelled", async () => {
    const { ledger } = cluster;
    const good = must(
      await cluster.client.plans.dispatch({
        name: "diamond",
        tasks: [
          ledger.task("d-last", { dependsOn: ["d-left", "d-right"] }),
          ledger.task("d-left", { dependsOn: ["d-first"] }),
          ledger.task("d-right", { dependsOn: ["d-first"] }),
          ledger.task("d-first"),
        ],
      }),
    );
    expect(planStatusWord(good.status)).toBe("PARTLY_PAUSED");
    expect(good.pausedTasks).toBe(3);
    expect(good.tasks.map((task) => pauseReasonWord(task.pauseReason))).toEqual([
      "DEPENDENCY_PENDING",
      "DEPENDENCY_PENDING",
      "DEPENDENCY_PENDING",
      "UNSPECIFIED",
    ]);
    expect(planStatusWord((await cluster.planEnd(good.planId)).status)).toBe("SUCCEEDED");
    const order = ledger.lines().filter((line) => line.planId === good.planId);
    const at = (task: string, what: "start" | "end") =>
      order.findIndex((line) => line.task === task && line.what === what);
    for (const middle of ["d-left", "d-right"]) {
      expect(at(middle, "start")).toBeGreaterThan(at("d-first", "end"));
      expect(at("d-last", "start")).toBeGreaterThan(at(middle, "end"));
    }
    expect(await brokenBooks(cluster.sql, good.planId)).toEqual([]);

    const bad = must(
      await cluster.client.plans.dispatch({
        name: "broken-chain",
        tasks: [
          ledger.task("c-first", { script: "exit 1" }),
          ledger.task("c-second", { dependsOn: ["c-first"] }),
          ledger.task("c-third", { dependsOn: ["c-second"] }),
        ],
      }),
    );
    const ended = await cluster.planEnd(bad.planId);
    expect(statesOf(ended)).toEqual({ "c-first": "FAILED", "c-second": "CANCELLED", "c-third": "CANCELLED" });
    expect(planStatusWord(ended.status)).toBe("FAILED");
    expect(ledger.starts()["c-second"]).toBeUndefined();
    expect(await queueRows(cluster.sql, bad.planId)).toEqual({ "c-second": ["cancelled"], "c-third": ["cancelled"] });
  });

  it("cancel of a waiting task, of a running task, and of a plan with both", async () => {
    const { ledger, client } = cluster;
    const answer = must(
      await client.plans.dispatch({
        name: "to-cancel",
        tasks: [
          ...["r1", "r2", "r3", "r4"].map((name) => ledger.task(`cancel-${name}`, { gate: "cancel" })),
          ...["w1", "w2"].map((name) => ledger.task(`cancel-${name}`)),
        ],
      }),
    );
    expect(planStatusWord(answer.status)).toBe("PARTLY_PAUSED");
    expect(answer.pausedTasks).toBe(2);
    const idOf = (name: string): string => answer.tasks.find((task) => task.name === `cancel-${name}`)!.taskId;
    await waitFor(() => ["r1", "r2", "r3", "r4"].every((name) => ledger.starts()[`cancel-${name}`] === 1));

    expect(taskStateWord(must(await client.tasks.cancel(idOf("w1"), "not needed")).state)).toBe("CANCELLED");
    must(await client.tasks.cancel(idOf("w1"), "twice is fine"));

    const running = must(await client.tasks.cancel(idOf("r1"), "changed my mind"));
    expect(running.cancelRequested || taskStateWord(running.state) === "CANCELLED").toBe(true);
    await waitFor(async () => taskStateWord(must(await client.tasks.get(idOf("r1"))).state) === "CANCELLED");
    // The room of the cancelled one goes to the one that waits, with no poll to help.
    await waitFor(async () => taskStateWord(must(await client.tasks.get(idOf("w2"))).state) === "SUCCEEDED", {
      describe: () => `w2 to run\n${cluster.logs()}`,
    });
    expect(mustFail(await client.tasks.cancel(idOf("w2"))).reason).toBe("TASK_ALREADY_FINISHED");

    const plan = must(await client.plans.cancel(answer.planId, "all of it"));
    expect(plan.cancelRequested).toBe(true);
    const ended = await cluster.planEnd(answer.planId);
    expect(statesOf(ended)).toEqual({
      "cancel-r1": "CANCELLED",
      "cancel-r2": "CANCELLED",
      "cancel-r3": "CANCELLED",
      "cancel-r4": "CANCELLED",
      "cancel-w1": "CANCELLED",
      "cancel-w2": "SUCCEEDED",
    });
    expect(planStatusWord(ended.status)).toBe("CANCELLED");
    expect(ledger.starts()["cancel-w1"]).toBeUndefined();
    expect(ledger.ends()["cancel-r2"]).toBeUndefined();
    for (const { what, task, pid } of ledger.lines()) {
      if (what === "start" && task.startsWith("cancel-r"))
        expect(isOurs(pid, ledger), `${task} still runs`).toBe(false);
    }
    await nothingPromised(cluster);
  });

  it("a command that prints 10 MB: it ends, its output is bounded and says what is missing", async () => {
    const answer = must(
      await cluster.client.plans.dispatch({
        name: "loud",
        tasks: [
          {
            name: "loud",
            command: {
              argv: [
                process.execPath,
                "-e",
                `const line = "x".repeat(99) + "\\n"; process.stdout.write("FIRST\\n" + line.repeat(100_000) + "LAST\\n")`,
              ],
            },
          },
        ],
      }),
    );
    expect(statesOf(await cluster.planEnd(answer.planId))).toEqual({ loud: "SUCCEEDED" });
    const output = await readOutput(cluster.client, answer.tasks[0]!.taskId);
    expect(output.text("STDOUT").startsWith("FIRST\n")).toBe(true);
    const kept = output.text("STDOUT").length;
    expect(kept).toBeGreaterThan(1_000_000);
    expect(output.text("STDOUT").endsWith("LAST\n")).toBe(true);
    // One note, and its figure is what is missing: nothing is lost without a word.
    expect(output.text("HEADROOM")).toMatch(/^\d+ bytes of output left out here: .*\n$/);
    expect(kept + Number.parseInt(output.text("HEADROOM"), 10)).toBe(10_000_011);
    const [held] = await cluster.sql<{ bytes: string }>(
      `SELECT coalesce(sum(length(o.data)), 0) AS bytes FROM orchestrator.task_output o
         JOIN orchestrator.attempts a USING (attempt_id) WHERE a.plan_id = $1`,
      [answer.planId],
    );
    expect(Number(held!.bytes)).toBeLessThan(17 * 1_048_576);
  });

  it("R-CAP-8 R-PAUSE-3: a task for a GPU gets its card and no other task sees one", async () => {
    const { client, ledger } = cluster;
    const answer = must(
      await client.plans.dispatch({
        name: "cards",
        tasks: [
          ledger.task("with-card", {
            needs: { cpuCores: 1, gpuVramGb: 10 },
            script: 'echo "cards=[$CUDA_VISIBLE_DEVICES]"',
            gate: "card",
          }),
          ledger.task("without-card", { script: 'echo "cards=[$CUDA_VISIBLE_DEVICES]"' }),
        ],
      }),
    );
    await waitFor(() => ledger.starts()["with-card"] === 1);
    const [listed] = must(await client.capacity.listAvailable()).agents;
    expect(listed).toMatchObject({ gpuVramAvailableGb: 14, gpuVramTotalGb: 24 });
    ledger.open("card");
    await cluster.planEnd(answer.planId);
    const [withCard, without] = answer.tasks;
    expect((await readOutput(client, withCard!.taskId)).text("STDOUT")).toBe("cards=[0]\n");
    expect((await readOutput(client, without!.taskId)).text("STDOUT")).toBe("cards=[]\n");
  });

  it("the plan's events tell its story in order and the watch ends with it", async () => {
    const answer = must(await cluster.client.plans.dispatch({ name: "told", tasks: [cluster.ledger.task("told")] }));
    const kinds: string[] = [];
    let last = 0;
    for await (const item of cluster.client.plans.watch(answer.planId, { signal: AbortSignal.timeout(30_000) })) {
      if (item.kind !== "item") throw new Error(`the watch was cut: ${JSON.stringify(item)}`);
      const event: wire.PlanEvent = item.value.event!;
      expect(event.eventId).toBeGreaterThan(last);
      last = event.eventId;
      kinds.push(event.kind);
    }
    expect(kinds[0]).toBe("PLAN_ACCEPTED");
    expect(kinds).toEqual(expect.arrayContaining(["TASK_ASSIGNED", "TASK_SUCCEEDED"]));
    expect(kinds.indexOf("TASK_ASSIGNED")).toBeLessThan(kinds.indexOf("TASK_SUCCEEDED"));
  });
});
