import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { makeTempDir, waitFor, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemProcessTable } from "../processes/system-table.ts";
import type { OutputSource, ProcessRunner, Run, RunSpec, RunStart } from "./runner.ts";
import { systemRunner } from "./system-runner.ts";

const processes = systemProcessTable();
let dir: TempDir;
let runner: ProcessRunner;
let output: Record<OutputSource, Buffer[]>;

beforeEach(async () => {
  dir = await makeTempDir("runner");
  output = { stdout: [], stderr: [] };
  const env = { ...process.env, DATABASE_URL: "postgres://u:p@h/d", HEADROOM_TOKEN: "secret", OWNERS_OWN: "kept" };
  runner = systemRunner({ ports: systemPorts, logger: silentLogger, processes, freshDir: join(dir.path, "work"), env });
});
afterEach(() => dir.remove());

let runs = 0;

function spec(argv: readonly string[], more: Partial<RunSpec> = {}): RunSpec {
  runs += 1;
  // No other test that runs at the same time has it: processes are found by it.
  const attemptId = `00000000-0000-4000-8000-${String(process.pid * 1_000 + runs).padStart(12, "0")}`;
  return { attemptId, taskId: "task-1", planId: "plan-1", argv, env: {}, workingDir: "", cards: [], ...more };
}

function start(wanted: RunSpec): Promise<RunStart> {
  return runner.start(wanted, (source, data) => {
    output[source].push(Buffer.from(data));
    return Promise.resolve();
  });
}

async function started(wanted: RunSpec): Promise<Run> {
  const outcome = await start(wanted);
  if (outcome.kind !== "started") throw new Error(JSON.stringify(outcome));
  return outcome.run;
}

async function failed(wanted: RunSpec): Promise<string> {
  const outcome = await start(wanted);
  if (outcome.kind === "failed") return outcome.sentence;
  if (outcome.kind === "started") outcome.run.end(0);
  throw new Error("it started");
}

const text = (source: OutputSource): string => Buffer.concat(output[source]).toString();
const sh = (script: string): readonly string[] => ["sh", "-c", script];
const isAlive = async (pid: number): Promise<boolean> => (await processes.startToken(pid)) !== null;

/** How many processes carry its mark. */
async function marked(attemptId: string): Promise<number> {
  return (await processes.withEnvironment(`HEADROOM_ATTEMPT_ID=${attemptId}`, null)).found.length;
}

describe("systemRunner", () => {
  it("tells the exit code and keeps the two outputs apart", async () => {
    const run = await started(spec(sh("echo out; echo err >&2; exit 7")));
    expect(await run.ended).toMatchObject({ exitCode: 7, signal: "", leftBehind: 0 });
    expect(text("stdout")).toBe("out\n");
    expect(text("stderr")).toBe("err\n");
  });

  it("passes binary output byte by byte, and large output whole", async () => {
    const script = "const b=Buffer.alloc(3000000);for(let i=0;i<b.length;i++)b[i]=(i*31)%256;process.stdout.write(b)";
    const run = await started(spec([process.execPath, "-e", script]));
    expect((await run.ended).exitCode).toBe(0);
    const got = Buffer.concat(output.stdout);
    expect(got.length).toBe(3_000_000);
    expect(got.every((byte, index) => byte === (index * 31) % 256)).toBe(true);
  });

  it("tells the signal that ended a command", async () => {
    const run = await started(spec(sh("kill -9 $$")));
    expect(await run.ended).toMatchObject({ exitCode: null, signal: "SIGKILL" });
  });

  it("runs without a shell: what a shell would expand stays as it is", async () => {
    const run = await started(spec(["printf", "%s", "$HOME `id` *"]));
    await run.ended;
    expect(text("stdout")).toBe("$HOME `id` *");
  });

  it("closes stdin", async () => {
    const run = await started(spec(["cat"]));
    expect((await run.ended).exitCode).toBe(0);
  });

  it("gives the task its own variables and no secret of the agent", async () => {
    const cards = [1, 3].map((index) => ({ cardId: `GPU-${index}`, index }));
    const run = await started(spec(["env"], { env: { MINE: "yes", HEADROOM_TASK_ID: "forged" }, cards }));
    await run.ended;
    const lines = text("stdout").split("\n");
    expect(lines).toContain("MINE=yes");
    expect(lines).toContain("OWNERS_OWN=kept");
    expect(lines).toContain("HEADROOM_TASK_ID=task-1");
    expect(lines).toContain("HEADROOM_PLAN_ID=plan-1");
    expect(lines).toContain("CUDA_VISIBLE_DEVICES=1,3");
    expect(text("stdout")).not.toMatch(/DATABASE_URL|HEADROOM_TOKEN|secret/);
  });

  it("shows no card to a task without one", async () => {
    const run = await started(spec(sh('echo "[$CUDA_VISIBLE_DEVICES]"; test -n "${CUDA_VISIBLE_DEVICES+set}"')));
    expect((await run.ended).exitCode).toBe(0);
    expect(text("stdout")).toBe("[]\n");
  });

  it("makes a fresh folder and removes it with all in it", async () => {
    const run = await started(spec(sh("pwd; mkdir -p a/b; echo x > a/b/c")));
    await run.ended;
    const path = text("stdout").trim();
    expect(path.startsWith(dir.path)).toBe(true);
    expect(existsSync(path)).toBe(false);
  });

  it("runs in the folder that was asked for and leaves it", async () => {
    const run = await started(spec(sh("pwd; echo x > made"), { workingDir: dir.path }));
    await run.ended;
    expect(text("stdout").trim()).toBe(dir.path);
    expect(existsSync(join(dir.path, "made"))).toBe(true);
  });

  it("says what was looked for where when a command cannot be started", async () => {
    expect(await failed(spec(["no-such-program-here"]))).toMatch(
      /"no-such-program-here" was not found.*looked in .*bin/,
    );
    expect(await failed(spec(["/no/such/file"]))).toMatch(/"\/no\/such\/file" does not exist/);
    expect(await failed(spec([""]))).toMatch(/empty/);
    expect(await failed(spec(["ls"], { workingDir: "/no/such/folder" }))).toMatch(
      /"\/no\/such\/folder" does not exist on this agent/,
    );
    await writeFile(join(dir.path, "plain"), "text", { mode: 0o644 });
    expect(await failed(spec([join(dir.path, "plain")]))).toMatch(/not executable/);
    await writeFile(join(dir.path, "lost"), "#!/no/interpreter\n", { mode: 0o755 });
    expect(await failed(spec([join(dir.path, "lost")]))).toMatch(/interpreter/);
    await mkdir(join(dir.path, "folder"));
    expect(await failed(spec([join(dir.path, "folder")]))).toMatch(/is a folder/);
    expect(await failed(spec(["ls", "a\0b"]))).toMatch(/could not be started/);
    expect(await failed(spec(["ls", "x".repeat(4_000_000)]))).toMatch(/larger than this system allows/);
  });

  it("tells a machine that can start nothing from a command that cannot be started", async () => {
    expect(await start(spec(["no-such-program-here"]))).toMatchObject({ kind: "failed", isMachine: false });
    expect(await start(spec(["ls"], { workingDir: "/no/such/folder" }))).toMatchObject({ isMachine: false });
    // No folder can be made below a file, whatever the command.
    await rm(join(dir.path, "work"), { recursive: true });
    await writeFile(join(dir.path, "work"), "");
    expect(await start(spec(["ls"]))).toMatchObject({ kind: "failed", isMachine: true });
  });

  it("ends the whole group, grandchildren too", async () => {
    const run = await started(spec(sh("sh -c 'sleep 1000 & echo $!; wait' & echo ready; wait")));
    const grandchild = await waitFor(() => /^\d+$/m.exec(text("stdout"))?.[0]);
    run.end(10_000);
    const end = await run.ended;
    expect(end.signal).toBe("SIGTERM");
    expect(await isAlive(Number(grandchild))).toBe(false);
  });

  it("kills what does not heed TERM, after the grace", async () => {
    const run = await started(spec(sh("trap '' TERM; echo ready; while :; do sleep 0.05; done")));
    await waitFor(() => text("stdout").includes("ready"));
    run.end(200);
    expect((await run.ended).signal).toBe("SIGKILL");
  });

  it("finds and ends a child that left the group with setsid", async () => {
    const run = await started(spec(sh("setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.3; exit 0")));
    const end = await run.ended;
    const escaped = Number(text("stdout").trim());
    expect(escaped).toBeGreaterThan(0);
    expect(end).toMatchObject({ exitCode: 0, leftBehind: 1 });
    expect(await isAlive(escaped)).toBe(false);
  });

  it("ends what a command leaves behind in its group, and keeps the command's own exit code", async () => {
    const run = await started(spec(sh("sleep 1000 & echo $!; exit 3")));
    const end = await run.ended;
    expect(end).toMatchObject({ exitCode: 3, leftBehind: 1 });
    expect(await isAlive(Number(text("stdout").trim()))).toBe(false);
  });

  it("stops and continues a group", async () => {
    const run = await started(spec(sh("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")));
    await waitFor(() => text("stdout").includes("3\n"));
    run.freeze();
    run.thaw();
    const before = text("stdout").length;
    await waitFor(() => text("stdout").length > before + 20);
    run.freeze();
    // A stopped group is ended all the same.
    run.end(10_000);
    expect((await run.ended).signal).toBe("SIGTERM");
  });

  it("accounts the CPU time of a command", async () => {
    const script = "const end=process.cpuUsage().user+300000;while(process.cpuUsage().user<end);";
    const run = await started(spec([process.execPath, "-e", script]));
    expect((await run.ended).cpuMs).toBeGreaterThanOrEqual(200);
  });

  it("ends what an earlier agent left running, and never a process that only has the same number", async () => {
    const wanted = spec(sh("sleep 1000 & wait"));
    const run = await started(wanted);
    expect(run.startToken).not.toBeNull();
    expect(
      await runner.endLeftover(
        { attemptId: "another", pid: run.pid, startToken: "another start", startedAtMs: null },
        1_000,
      ),
    ).toBe(0);
    expect(await isAlive(run.pid)).toBe(true);
    const { attemptId } = wanted;
    // The shell and its sleep: two, once the shell has forked.
    await waitFor(async () => (await marked(attemptId)) === 2);
    expect(
      await runner.endLeftover({ attemptId, pid: run.pid, startToken: run.startToken, startedAtMs: null }, 10_000),
    ).toBe(2);
    expect((await run.ended).signal).toBe("SIGTERM");
  });

  it("finds an earlier agent's processes by their mark when the start was not written down", async () => {
    const wanted = spec(sh("sleep 1000 & wait"));
    const run = await started(wanted);
    await waitFor(async () => (await marked(wanted.attemptId)) === 2);
    expect(
      await runner.endLeftover({ attemptId: wanted.attemptId, pid: null, startToken: null, startedAtMs: null }, 10_000),
    ).toBe(2);
    await run.ended;
  });
});
