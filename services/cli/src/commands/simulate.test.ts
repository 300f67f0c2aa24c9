import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runTestCli } from "../cli.test-helper.ts";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "headroom-simulate-"));
  const node = (index: number): string =>
    `node-${index},16000,65536,${index % 2 === 0 ? 2 : 4},${index % 3 === 0 ? "T4" : "P100"}`;
  await write("nodes.csv", [
    "sn,cpu_milli,memory_mib,gpu,model",
    ...Array.from({ length: 12 }, (_, index) => node(index)),
  ]);
  await write("tasks.csv", [
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec",
    "pod-1,3000,4096,1,470,",
    "pod-2,3000,4096,1,1000,T4",
    "pod-3,8000,8192,2,1000,",
    "pod-4,2000,2048,0,0,",
    "pod-5,1000,1024,1,250,P100|T4",
  ]);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(name: string, lines: readonly string[]): Promise<void> {
  await writeFile(join(folder, name), `${lines.join("\n")}\n`);
}

function simulate(...args: readonly string[]) {
  return runTestCli(["simulate", "--nodes", "nodes.csv", "--tasks", "tasks.csv", ...args], { cwd: folder });
}

describe("headroom simulate", () => {
  it("plays every policy over a trace, and repeats itself", async () => {
    const policies = "random,most-free-vram,best-fit,dot-product,packing,fragmentation,stranded";
    const first = await simulate("-o", "json", "--policy", policies, "--runs", "2");
    expect(first.stderr).toBe("");
    expect(first.code).toBe(0);
    const answer: unknown = JSON.parse(first.stdout);
    expect(answer).toMatchObject({
      seed: 42,
      runs: 2,
      policies: policies.split(",").map((policy) => ({ policy, allocated_percent: expect.any(Number) })),
    });
    expect((await simulate("-o", "json", "--policy", policies, "--runs", "2")).stdout).toBe(first.stdout);
    expect((await simulate("-o", "json", "--seed", "7")).stdout).not.toBe(first.stdout);
  });

  it("a file that is none is quoted in part, and never as raw bytes", async () => {
    await writeFile(join(folder, "nodes.csv"), Buffer.from(`\u007FELF\u001B[2J\u0000${"x".repeat(5_000)}`));
    const { code, stderr } = await simulate();
    expect(code).toBe(1);
    expect(stderr).toContain("nodes.csv:1: the columns are ");
    expect(stderr.length).toBeLessThan(600);
    expect(stderr).not.toMatch(/(?!\n)\p{Cc}/u);
  });

  it("prints failures by class and the curve", async () => {
    const { code, stdout } = await simulate("--policy", "best-fit", "--curve", "--until", "1.5");
    expect(code).toBe(0);
    expect(stdout).toMatch(/POLICY\s+ALLOCATED\s+FRAGMENTED\s+FAILED: SHARE\s+ONE CARD\s+SEVERAL CARDS\s+CPU ONLY/);
    expect(stdout).toMatch(/best-fit\s+\d+\.\d\d %\s+\d+\.\d\d %\s+\d+ of \d+/);
    expect(stdout).toMatch(/REQUESTED\s+BEST-FIT/);
    expect(stdout).toMatch(/\n14\d %\s+\d+\.\d\d\n/);
  });

  it("holds tasks back at a threshold", async () => {
    const allocated = async (...args: readonly string[]): Promise<number> => {
      const { stdout } = await simulate("-o", "json", "--policy", "best-fit", ...args);
      const answer = JSON.parse(stdout) as { policies: { allocated_percent: number }[] };
      return answer.policies[0]?.allocated_percent ?? Number.NaN;
    };
    expect(await allocated("--threshold", "0.9")).toBeLessThan(await allocated());
  });

  it("reads our own JSON", async () => {
    const gpus = [{ card_id: "0", index: 0, model: "RTX 4090", vram_total_gb: 24 }];
    const capacity = { cpu_cores_physical: 16, memory_total_gb: 64, gpus };
    await write("agents.json", [
      JSON.stringify({
        agents: [
          { agent_id: "a", capacity },
          { agent_id: "b", capacity },
        ],
      }),
    ]);
    await write("plan.json", [JSON.stringify({ plan: { tasks: [{ needs: { cpu_cores: 2, gpu_vram_gb: 10 } }] } })]);
    const { code, stdout, stderr } = await runTestCli(
      ["simulate", "--nodes", "agents.json", "--tasks", "plan.json", "-o", "json"],
      { cwd: folder },
    );
    expect(stderr).toBe("");
    expect(code).toBe(0);
    // Two tasks of 10 GiB on each card of 24.
    expect(JSON.parse(stdout)).toMatchObject({ policies: [{ allocated_percent: expect.closeTo((40 / 48) * 100, 1) }] });
  });

  describe("of a running Headroom", () => {
    const gpus = [{ card_id: "0", index: 0, model: "RTX 4090", vram_total_gb: 24 }];
    const capacity = { cpu_cores_physical: 16, memory_total_gb: 64, gpus };
    const agents = [
      { agent_id: "a", agent_type: "desktop", pool_name: "lab", labels: { site: "north" }, capacity },
      { agent_id: "b", agent_type: "desktop", pool_name: "render", labels: { site: "south" }, capacity },
      { agent_id: "c", agent_type: "infra", pool_name: "lab", labels: { site: "north" }, capacity },
    ];
    beforeEach(() => write("agents.json", [JSON.stringify({ agents })]));

    async function allocated(tasks: unknown): Promise<number> {
      await write("tasks.json", [JSON.stringify(tasks)]);
      const args = ["simulate", "--nodes", "agents.json", "--tasks", "tasks.json", "-o", "json"];
      const { code, stdout, stderr } = await runTestCli(args, { cwd: folder });
      expect(stderr).toBe("");
      expect(code).toBe(0);
      const answer = JSON.parse(stdout) as { policies: { allocated_percent: number }[] };
      return answer.policies[0]?.allocated_percent ?? Number.NaN;
    }

    it("respects pools and labels, and gives work to desktops alone", async () => {
      const needs = { cpu_cores: 1, gpu_vram_gb: 12 };
      expect(await allocated([{ needs }])).toBeCloseTo(100, 6);
      expect(await allocated([{ needs: { ...needs, pool: "lab" } }])).toBeCloseTo(50, 6);
      expect(await allocated([{ needs: { ...needs, labels: { site: "south" } } }])).toBeCloseTo(50, 6);
      expect(await allocated([{ needs: { ...needs, pool: "lab", labels: { site: "south" } } }])).toBe(0);
    });

    it("reads plans, what waits, and what the registry has learned", async () => {
      const needs = { cpu_cores: 1, gpu_vram_gb: 10 };
      const twoOfTen = (40 / 48) * 100;
      const waiting = { task_id: "t", task_name: "x", pause: { reason: "no_agent_fits_now" }, needs };
      expect(await allocated({ plan: { plan_id: "p", name: "n", tasks: [{ needs }] } })).toBeCloseTo(twoOfTen, 6);
      expect(await allocated([{ plan: { tasks: [{ needs }] } }, { plan: { tasks: [{ needs }] } }])).toBeCloseTo(
        twoOfTen,
        6,
      );
      expect(await allocated({ tasks: [waiting], next_page_token: "", total_size: 1 })).toBeCloseTo(twoOfTen, 6);
      const shape = { cpu_cores: 1, gpu_count: 1, gpu_vram_gb: 10, gpu_exclusive: false, gpu_models: [], share: 0.75 };
      const none = { cpu_cores: 1, gpu_count: 0, gpu_vram_gb: 0, gpu_exclusive: false, gpu_models: [], share: 0.25 };
      expect(await allocated({ policy: "stranded", shapes: [shape, none] })).toBeGreaterThan(40);
    });

    it("counts a whole card as all of it, and comes to an end", async () => {
      expect(await allocated([{ needs: { gpu_count: 1 } }])).toBeCloseTo(100, 6);
      expect(await allocated([{ needs: { gpu_count: 1, gpu_vram_gb: 2, gpu_exclusive: true } }])).toBeCloseTo(100, 6);
      expect(await allocated([{ needs: { gpu_count: 1, gpu_models: ["none such"] } }])).toBe(0);
    });

    it("names the task and the field that is wrong", async () => {
      await write("tasks.json", [JSON.stringify({ tasks: [{ needs: {} }, { needs: { cpu_corse: 1 } }] })]);
      const args = ["simulate", "--nodes", "agents.json", "--tasks", "tasks.json"];
      const { code, stderr } = await runTestCli(args, { cwd: folder });
      expect(code).toBe(1);
      expect(stderr).toContain("tasks[1].needs.cpu_corse");
      await write("tasks.json", [JSON.stringify({ nothing: 1 })]);
      expect((await runTestCli(args, { cwd: folder })).stderr).toContain("it holds no tasks: plan, tasks or shapes");
      await write("tasks.json", [JSON.stringify({ shapes: [{ cpu_cores: 1, gpu_count: 1, share: 1e12 }] })]);
      expect((await runTestCli(args, { cwd: folder })).stderr).toContain(
        "shapes[0].share: 1000000000000 is more than 1",
      );
    });
  });

  it("names what is wrong with a file, its line and its column", async () => {
    await write("nodes.csv", ["sn,cpu_milli,memory_mib,gpu,model", "a,many,1,1,T4"]);
    const { code, stderr } = await simulate();
    expect(code).toBe(1);
    expect(stderr).toContain('nodes.csv:2: cpu_milli: "many" is not a whole number of 0 or more');
    await write("nodes.csv", ["sn,cpu_milli,memory_mib,gpu,model", "a,1,1,9000000000,T4"]);
    expect((await simulate()).stderr).toContain('nodes.csv:2: gpu: "9000000000" is not a whole number of 0 to 64');
    await write("nodes.csv", ["sn,cpu_milli,gpu", "a,1,1"]);
    expect((await simulate()).stderr).toContain("nodes.csv has no column memory_mib");
    await rm(join(folder, "nodes.csv"));
    expect((await simulate()).stderr).toContain("cannot read nodes.csv: there is no such file");
  });

  it("suggests the policy that was meant", async () => {
    const { code, stderr } = await simulate("--policy", "best-fitt");
    expect(code).toBe(1);
    expect(stderr).toContain("did you mean best-fit?");
  });
});
