import { chown, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { makeTempDir, type TempDir, waitFor } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headroom, isAlive, startUp, upEnvironment, type UpProcess } from "./support/up-process.ts";

const limitMs = 120_000;

describe.runIf(process.platform === "linux")("headroom up", { timeout: limitMs }, () => {
  let dir: TempDir;
  let env: Record<string, string>;
  const started: UpProcess[] = [];

  beforeEach(async () => {
    dir = await makeTempDir("up");
    env = await upEnvironment(join(dir.path, "data of mine"));
  });
  afterEach(async () => {
    for (const up of started.splice(0)) {
      up.signal("SIGINT");
      await up.ended();
    }
    await dir.remove();
  });

  async function up(overrides: Record<string, string> = {}, uid?: number): Promise<UpProcess> {
    const process_ = await startUp({ ...env, ...overrides }, uid);
    started.push(process_);
    return process_;
  }

  async function dispatch(plan: object, ...flags: string[]) {
    const file = join(dir.path, "plan.yaml");
    await writeFile(file, JSON.stringify(plan));
    return headroom(["plan", "dispatch", file, ...flags], env);
  }

  it("starts, runs work, stops on Ctrl-C, and has the data at the next start", async () => {
    const first = await up();
    await first.ready();
    expect(first.said()).toMatch(/registry +gRPC 127\.0\.0\.1:\d+ +REST http:\/\/127\.0\.0\.1:\d+/);
    expect(first.said()).toMatch(
      /this machine +agent [0-9a-f-]{36}: 4 cores, 8 GiB memory, no GPU; declared: cpu, memory/,
    );

    // The command finds addresses and token in the data folder.
    const capacity = await headroom(["capacity", "-o", "json"], { HEADROOM_DATA_DIR: env["HEADROOM_DATA_DIR"] ?? "" });
    expect(JSON.parse(capacity.stdout).agents).toMatchObject([
      { status: "online", cpu_cores_physical: 4, declared: ["cpu", "memory"] },
    ]);

    const plan = { name: "hello", tasks: [{ name: "say", command: { argv: ["node", "-e", "console.log('hello')"] } }] };
    const watched = await dispatch(plan, "--watch");
    expect(watched.stdout).toMatch(/plan hello succeeded in .*: 1 succeeded/);
    expect(watched.code).toBe(0);

    expect(await first.stop()).toBe(0);
    const order = ["agent", "orchestrator", "registry", "PostgreSQL"].map((part) =>
      first.said().lastIndexOf(`stopping ${part === "PostgreSQL" ? "" : "the "}${part}`),
    );
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);

    const second = await up();
    await second.ready();
    const plans = JSON.parse((await headroom(["plan", "list", "-o", "json"], env)).stdout);
    expect(plans.plans).toMatchObject([{ name: "hello", status: "succeeded" }]);
    const logs = await headroom(
      [
        "task",
        "logs",
        JSON.parse((await headroom(["plan", "get", plans.plans[0].plan_id, "-o", "json"], env)).stdout).plan.tasks[0]
          .task_id,
      ],
      env,
    );
    expect(logs.stdout).toBe("hello\n");
  });

  it("R-PAUSE-8: work that runs when it stops goes back to the queue and runs at the next start", async () => {
    const first = await up();
    await first.ready();
    const marker = join(dir.path, "go");
    // Runs until the marker file is there: in its first life it never is.
    const script = `const fs=require("fs");const t=setInterval(()=>{if(fs.existsSync(${JSON.stringify(marker)})){clearInterval(t);console.log("done")}},50)`;
    const { stdout } = await dispatch(
      { name: "long", tasks: [{ name: "wait", command: { argv: ["node", "-e", script] } }] },
      "-o",
      "json",
    );
    const { plan_id: planId } = JSON.parse(stdout) as { plan_id: string };
    const state = async () =>
      (
        JSON.parse((await headroom(["plan", "get", planId, "-o", "json"], env)).stdout) as {
          plan: { tasks: { state: string }[] };
        }
      ).plan.tasks[0]?.state;
    await waitFor(async () => (await state()) === "running", { timeoutMs: 30_000, describe: () => "the task to run" });
    expect(await first.stop()).toBe(0);
    await writeFile(marker, "");
    const second = await up();
    await second.ready();
    const watched = await headroom(["plan", "watch", planId, "--timeout", "60s"], env, 90_000);
    expect(watched.stdout).toMatch(/plan long succeeded/);
    expect(watched.code).toBe(0);
  });

  it("refuses a second copy on the same data, and names the first", async () => {
    const first = await up();
    await first.ready();
    const second = await headroom(["up"], env);
    expect(second.stderr).toMatch(
      new RegExp(`runs already on .*data of mine: process ${first.pid}, since \\d{4}-.*DATA_DIR_IN_USE`),
    );
    expect(second.stderr).toContain(`kill ${first.pid}`);
    expect(second.code).toBe(1);
  });

  it("a port that is taken is told with its holder and the setting that changes it, and nothing is left running", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    try {
      const outcome = await headroom(["up"], { ...env, HEADROOM_ORCHESTRATOR_HTTP_ADDR: `127.0.0.1:${port}` });
      expect(outcome.stderr).toContain(
        `127.0.0.1:${port} (the orchestrator's REST): process ${process.pid} listens there`,
      );
      expect(outcome.stderr).toContain("HEADROOM_ORCHESTRATOR_HTTP_ADDR=");
      expect(outcome.code).toBe(1);
    } finally {
      await new Promise((resolve) => void server.close(resolve));
    }
    // The lock is free again.
    const next = await up();
    await next.ready();
  });

  it("after a kill -9 its parts end by themselves, and the next start takes the running PostgreSQL over", async () => {
    const first = await up();
    await first.ready();
    const parts = first.parts();
    expect([...parts.keys()].toSorted()).toEqual(["agent", "orchestrator", "registry"]);
    first.signal("SIGKILL");
    await first.ended();
    await waitFor(() => [...parts.values()].every((pid) => !isAlive(pid)), {
      timeoutMs: 30_000,
      describe: () => `the parts ${JSON.stringify([...parts])} to end`,
    });
    const second = await up();
    await second.ready();
    expect(second.said()).toContain("took over the PostgreSQL");
  });

  it("starts a part again that was killed, and says so", async () => {
    const first = await up();
    await first.ready();
    const orchestrator = first.parts().get("orchestrator") ?? 0;
    process.kill(orchestrator, "SIGKILL");
    await waitFor(() => first.said().includes("the orchestrator runs again"), {
      timeoutMs: 30_000,
      describe: () => `the orchestrator to run again:\n${first.said()}`,
    });
    expect(first.said()).toMatch(
      /the orchestrator ended unexpectedly \(signal SIGKILL\); starting it again in .*orchestrator\.log/,
    );
    expect((await headroom(["queue", "status"], env)).code).toBe(0);
  });

  it("is stopped while it starts without leaving anything", async () => {
    const first = await up();
    await waitFor(() => first.parts().size > 0 || first.said().includes("Ctrl-C"), {
      timeoutMs: 30_000,
      describe: () => first.said(),
    });
    const parts = first.parts();
    expect(await first.stop()).toBe(0);
    expect([...parts.values()].filter(isAlive)).toEqual([]);
    const next = await up();
    await next.ready();
  });

  it.runIf(process.getuid?.() === 0)("runs as an ordinary user, on a very long path with spaces", async () => {
    const uid = 65_534;
    const home = join(dir.path, "home");
    const dataDir = join(home, "l ng ".repeat(20).trim(), "path ".repeat(20).trim());
    await mkdir(dataDir, { recursive: true });
    for (let path = dataDir; path.length >= home.length; path = join(path, "..")) await chown(path, uid, uid);
    const ordinary = await up({ HEADROOM_DATA_DIR: dataDir, HOME: home }, uid);
    await ordinary.ready();
    const capacity = await headroom(["capacity", "-o", "json", "--data-dir", dataDir], {});
    expect(JSON.parse(capacity.stdout).agents).toHaveLength(1);
    expect(await ordinary.stop()).toBe(0);
  });
});
