import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { builtCommand, checkoutDir } from "./support/built-command.ts";
import { headroom, type Outcome, startUp, upEnvironment, type UpProcess } from "./support/up-process.ts";

const limitMs = 120_000;
const run = promisify(execFile);

describe.runIf(process.platform === "linux")("the command line on a running Headroom", { timeout: limitMs }, () => {
  let dir: TempDir;
  let env: Record<string, string>;
  let up: UpProcess;

  beforeAll(async () => {
    dir = await makeTempDir("cli");
    env = await upEnvironment(join(dir.path, "data"));
    up = await startUp(env);
    await up.ready();
  }, limitMs);
  afterAll(async () => {
    await up.stop();
    await dir.remove();
  }, limitMs);

  const cli = (...args: string[]): Promise<Outcome> => headroom(args, env, limitMs);
  async function json(...args: string[]): Promise<Record<string, unknown>> {
    const { stdout, stderr, code } = await cli(...args, "-o", "json");
    if (stdout === "") throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  }
  const rest = async (path: string): Promise<Record<string, unknown>> =>
    (await (await fetch(`http://${env["HEADROOM_REGISTRY_HTTP_ADDR"]}${path}`)).json()) as Record<string, unknown>;

  async function agentId(): Promise<string> {
    const { agents } = (await json("agents")) as { agents: { agent_id: string }[] };
    return agents[0]?.agent_id ?? "";
  }

  it("R-CAP-6 and R-CAP-7: command, REST of one agent and REST of the fleet tell the same figures", async () => {
    const id = await agentId();
    // What was declared does not move between two questions; the load and the time of the sample may.
    const still = ({ cpu_load: _load, timestamp: _at, measured: _measured, ...rest_ }: Record<string, unknown>) =>
      rest_;
    const one = await rest(`/api/v1/agents/${id}/capacity`);
    const fleet = (await rest("/api/v1/agents/available-capacity?min_gpu_vram_gb=&min_cpu_cores=2")) as {
      agents: Record<string, unknown>[];
    };
    expect(one).toMatchObject({
      agent_id: id,
      status: "online",
      agent_type: "desktop",
      cpu_cores_physical: 4,
      gpu_vram_total_gb: 0,
    });
    expect(still(await json("capacity", id.slice(0, 6)))).toEqual(still(one));
    expect(still(fleet.agents[0] ?? {})).toEqual(still(one));
    expect((await json("capacity", "--min-gpu-vram-gb", "1"))["agents"]).toEqual([]);
  });

  it("every example is a plan", async () => {
    const files = readdirSync(join(checkoutDir, "examples")).filter((name) => name.endsWith(".yaml"));
    expect(files.length).toBeGreaterThanOrEqual(4);
    for (const file of files) {
      const { code, stderr, stdout } = await cli("plan", "dispatch", `examples/${file}`, "-o", "json");
      expect([0, 2], stderr).toContain(code);
      const { plan_id: planId } = JSON.parse(stdout) as { plan_id: string };
      const cancelled = await cli("plan", "cancel", planId);
      // A short one has ended by itself by then, and is said to.
      expect(cancelled.stderr).toMatch(cancelled.code === 0 ? /is cancelled/ : /has (succeeded|failed) already/);
    }
  });

  it("examples/hash-and-compress.yaml and count-primes.yaml do what they say", async () => {
    const hashed = await cli("plan", "dispatch", "examples/hash-and-compress.yaml", "--watch", "--timeout", "100s");
    expect(hashed.stdout).toMatch(/plan hash-and-compress succeeded in .*: 4 succeeded/);
    const counted = await cli("plan", "dispatch", "examples/count-primes.yaml", "--watch", "--timeout", "100s");
    expect([counted.code, counted.stdout.trimEnd().split("\n").at(-1)]).toEqual([
      0,
      expect.stringMatching(/4 succeeded/),
    ]);
    const { plans } = (await json("plan", "list", "--name", "count-primes", "--status", "succeeded")) as {
      plans: { plan_id: string }[];
    };
    const { plan } = (await json("plan", "get", plans[0]?.plan_id ?? "")) as { plan: { tasks: { task_id: string }[] } };
    let primes = 0;
    for (const { task_id: taskId } of plan.tasks)
      primes += Number.parseInt((await cli("task", "logs", taskId)).stdout, 10);
    expect(primes).toBe(2_433_654);
  });

  it("examples/gpu.yaml waits with its reason, exit code 2, until it is cancelled", async () => {
    const dispatched = await cli("plan", "dispatch", "examples/gpu.yaml", "-o", "json");
    const answer = JSON.parse(dispatched.stdout) as {
      plan_id: string;
      status: string;
      tasks: { task_id: string; pause_reason: string }[];
    };
    expect(dispatched.code).toBe(2);
    expect(answer.status).toBe("paused");
    const waiting = await cli("queue", "--plan", answer.plan_id.slice(0, 8));
    expect(waiting.stdout).toMatch(/which-card +gpu .*8 GiB VRAM on 1 GPU/);
    const explained = await cli("task", "explain", answer.tasks[0]?.task_id.slice(0, 8) ?? "");
    expect(explained.stdout).toMatch(/never/);
    expect((await cli("plan", "cancel", answer.plan_id, "--reason", "no card")).stderr).toMatch(/is cancelled/);
    expect((await json("task", "get", answer.tasks[0]?.task_id ?? "")).task).toMatchObject({ state: "cancelled" });
  });

  it("a cordoned agent and one held by its owner leave the capacity and come back", async () => {
    const id = await agentId();
    expect((await cli("agents", "cordon", id.slice(0, 8), "--reason", "repair")).code).toBe(0);
    expect((await json("capacity"))["agents"]).toEqual([]);
    expect((await cli("agents")).stdout).toContain("cordoned (repair)");
    expect((await cli("agents", "uncordon", id)).code).toBe(0);
    expect((await json("capacity"))["agents"]).toHaveLength(1);
    expect((await cli("agent", "hold", "--reason", "gaming")).code).toBe(0);
    await expect.poll(async () => (await json("capacity"))["agents"], { timeout: 30_000 }).toEqual([]);
    expect((await cli("agent", "release")).code).toBe(0);
    await expect.poll(async () => (await json("capacity"))["agents"], { timeout: 30_000 }).toHaveLength(1);
  });

  it("R-PAUSE-3: queue check tells the figures, queue resume looks for room", async () => {
    expect(await json("queue", "check")).toMatchObject({ should_pause: false, threshold: 0.2, agents_online: 1 });
    expect(await json("queue", "resume")).toMatchObject({ resumed_tasks: 0 });
    expect((await json("call", "PauseQueueService/GetQueueStatus"))["registry_connected"]).toBe(true);
  });

  it("a reader that has seen enough is no error", async () => {
    const script = `"$0" "$1" call | head -1; echo "codes \${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await run("bash", ["-c", script, process.execPath, await builtCommand()], {
      env: { ...process.env, ...env },
    });
    expect(stdout).toMatch(/^METHOD.*\ncodes 0\n$/);
    expect(stderr).toBe("");
  });

  it("R-CAP-8: examples/work-planner.ts routes to an agent, or learns that none fits", async () => {
    const planner = (...args: string[]) =>
      run(process.execPath, ["examples/run.mjs", "work-planner", ...args], {
        cwd: checkoutDir,
        env: { ...process.env, ...env },
        timeout: limitMs,
      }).then(
        ({ stdout }) => ({ code: 0, stdout }),
        (error: { code: number; stdout: string }) => ({ code: error.code, stdout: error.stdout }),
      );
    const routed = await planner();
    expect(routed.stdout).toMatch(/has 0\.0 GiB of VRAM and \d\.\d cores free[^]*working on /);
    expect(routed.code).toBe(0);
    const pending = await planner("--gpu-only");
    expect(pending.stdout).toMatch(/pending_capacity \(.+\)/);
    expect(pending.code).toBe(2);
  });
});
