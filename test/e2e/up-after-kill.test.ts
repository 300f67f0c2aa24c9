import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir, type TempDir, waitFor } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headroom, isAlive, startUp, upEnvironment, type UpProcess } from "./support/up-process.ts";

const limitMs = 120_000;

describe.runIf(process.platform === "linux")("headroom up after a kill -9", { timeout: limitMs }, () => {
  let dir: TempDir;
  let env: Record<string, string>;
  const started: UpProcess[] = [];

  beforeEach(async () => {
    dir = await makeTempDir("up-after-kill");
    // Long enough for everything that is to happen before the agent has ended its command.
    env = { ...(await upEnvironment(dir.path)), HEADROOM_AGENT_STOP_GRACE_SECONDS: "20" };
  });
  afterEach(async () => {
    for (const up of started.splice(0)) {
      up.signal("SIGINT");
      await up.ended();
    }
    await dir.remove();
  });

  async function up(): Promise<UpProcess> {
    const process_ = await startUp(env);
    started.push(process_);
    return process_;
  }

  /** Kills a `headroom up` whose agent takes its 20 s to end what it runs; answers that agent's pid when its services are gone. */
  async function killedWhileItWorks(): Promise<number> {
    const first = await up();
    await first.ready();
    const script = `process.on("SIGTERM", () => undefined); setInterval(() => undefined, 1_000); console.log("runs")`;
    const plan = { name: "stubborn", tasks: [{ name: "stay", command: { argv: ["node", "-e", script] } }] };
    const file = join(dir.path, "plan.yaml");
    await writeFile(file, JSON.stringify(plan));
    const { stdout } = await headroom(["plan", "dispatch", file, "-o", "json"], env);
    const { plan_id: planId } = JSON.parse(stdout) as { plan_id: string };
    await waitFor(
      async () => {
        const got = JSON.parse((await headroom(["plan", "get", planId, "-o", "json"], env)).stdout);
        const logs = await headroom(["task", "logs", got.plan.tasks[0].task_id], env);
        return logs.stdout.includes("runs");
      },
      { timeoutMs: 30_000, describe: "the task to run" },
    );
    const parts = first.parts();
    first.signal("SIGKILL");
    await first.ended();
    for (const name of ["registry", "orchestrator"]) {
      await waitFor(() => !isAlive(parts.get(name) ?? 0), { timeoutMs: 30_000, describe: `the ${name} to end` });
    }
    const agent = parts.get("agent") ?? 0;
    expect(isAlive(agent)).toBe(true);
    return agent;
  }

  it("waits for the agent that is still ending its commands, says so, and runs", async () => {
    const predecessor = await killedWhileItWorks();
    const second = await up();
    await second.ready();
    expect(second.said()).toMatch(
      new RegExp(`still waiting for the agent: process ${predecessor}, the agent before it, is given 40 s`),
    );
    expect(isAlive(predecessor)).toBe(false);
  });

  it("is stopped at once while it waits; an agent that is started by hand does not wait", async () => {
    const predecessor = await killedWhileItWorks();
    const byHand = await headroom(["agent"], env);
    expect(byHand.stderr).toContain(`another agent (process ${predecessor}) already runs`);
    expect(byHand.stderr).toContain("If it is ending its commands, wait for it");
    expect(byHand.code).toBe(1);
    const second = await up();
    await waitFor(() => second.said().includes("still waiting for the agent"), { describe: () => second.said() });
    const agent = second.parts().get("agent") ?? 0;
    expect(await second.stop()).toBe(0);
    expect([isAlive(agent), isAlive(predecessor)]).toEqual([false, true]);
    await waitFor(() => !isAlive(predecessor), { timeoutMs: 60_000, describe: "the first agent to end" });
  });
});
