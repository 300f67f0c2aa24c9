import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { errorCode, processStartTime, silentLogger, systemPorts, systemTimers } from "@headroom/runtime";
import { captureLogger, makeTempDir, waitFor, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createAgent } from "./agent.ts";
import { loadAgentConfig } from "./config/config.ts";
import { lockDataDir } from "./data-dir-lock.ts";
import { agentHome, agentPaths } from "./home.ts";
import { fileJournal } from "./journal/file-journal.ts";
import type { JournalRecord } from "./journal/journal.ts";
import { systemProcessTable } from "./processes/system-table.ts";
import { attemptMarker } from "./runner/task-environment.ts";

const attemptId = "0b0e4b4e-7c86-4c0e-9a4e-3f4f2f3c1a11";

let dir: TempDir;
let child: ChildProcess;
beforeEach(async () => {
  dir = await makeTempDir("full disk start");
});
afterEach(async () => {
  child.kill("SIGKILL");
  await dir.remove();
});

/** What an agent leaves that is killed while a command runs; answers the command's pid. */
async function crashedAgent(agentDir: string): Promise<number> {
  const [name = "", value] = attemptMarker(attemptId).split("=");
  child = spawn("sleep", ["1000"], { stdio: "ignore", detached: true, env: { ...process.env, [name]: value } });
  const pid = child.pid ?? 0;
  const home = agentHome(agentDir, systemPorts);
  await home.open();
  const journal = fileJournal({ path: agentPaths(agentDir).journal, logger: silentLogger, timers: systemTimers });
  await journal.open();
  const records: readonly JournalRecord[] = [
    {
      kind: "accepted",
      attemptId,
      fence: 1,
      atMs: 1,
      taskId: "task",
      planId: "plan",
      taskName: "name",
      workLeaseMs: 60_000,
      reserved: { cpuMillicores: 0, memoryMib: 0, cards: [] },
    },
    {
      kind: "started",
      attemptId,
      fence: 1,
      pid,
      startToken: await systemProcessTable().startToken(pid),
      atMs: 2,
    },
  ];
  for (const record of records) await journal.append(record);
  await journal.close();
  await home.close();
  return pid;
}

const isGone = async (pid: number): Promise<boolean> => (await processStartTime(pid)) === null;

describe.runIf(mayMount())("a start on a full disk", () => {
  let disk: string;
  beforeEach(() => {
    disk = join(dir.path, "disk");
    mkdirSync(disk);
    mount(disk);
  });
  afterEach(() => unmount(disk));

  it("ends at once what an earlier program left running, and writes that down when there is room", async () => {
    const agentDir = join(disk, "agent");
    const pid = await crashedAgent(agentDir);
    const journal = (): string => readFileSync(agentPaths(agentDir).journal, "utf8");
    fill(join(disk, "ballast"));
    const logger = captureLogger();
    const agent = createAgent(await loadAgentConfig({ env: { HEADROOM_DATA_DIR: disk } }), {
      logger,
      sleepSource: { start: () => undefined, stop: () => Promise.resolve() },
      connections: { openHeartbeat: away, openAttach: away, enroll: away, close: () => undefined },
    });
    const started = agent.start();
    await waitFor(() => isGone(pid), { describe: () => logger.text() });
    expect(agent.state()).toBe("starting");
    expect(journal()).not.toContain("agent_restarted");
    rmSync(join(disk, "ballast"));
    await started;
    await waitFor(() => journal().includes("agent_restarted"), { describe: () => logger.text() });
    // It was this agent that ended it, and it does not say that it found nothing.
    expect(journal()).toContain("1 process(es) of it were ended");
    await agent.stop("the test ends");
  });
});

describe("what an earlier program left, told without the folder", () => {
  it("is nobody's while another agent runs there", async () => {
    const pid = await crashedAgent(dir.path);
    const home = agentHome(dir.path, systemPorts);
    expect(await home.leftovers?.()).toMatchObject([{ attemptId, pid }]);
    const other = await lockDataDir(dir.path, systemPorts);
    expect(await home.leftovers?.()).toBeNull();
    await other.release();
    expect(await home.leftovers?.()).toHaveLength(1);
    child.kill("SIGKILL");
  });
});

const away = (): Promise<never> => Promise.reject(new Error("away"));

/** A disk of its own, to be filled, is given to root alone. */
function mayMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const path = `/tmp/headroom-may-mount-${process.pid}`;
  mkdirSync(path);
  try {
    mount(path);
    unmount(path);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

function mount(path: string): void {
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=0755", "headroom-test", path], { stdio: "pipe" });
}

/** Lazily: what is still open there goes when it is closed. */
function unmount(path: string): void {
  execFileSync("umount", ["-l", path], { stdio: "pipe" });
}

/** Leaves no byte free. */
function fill(path: string): void {
  const fd = openSync(path, "w");
  for (const piece of [Buffer.alloc(65_536), Buffer.alloc(4_096), Buffer.alloc(1)]) {
    try {
      while (writeSync(fd, piece) === piece.length) continue;
    } catch (error) {
      if (errorCode(error) !== "ENOSPC") throw error;
    }
  }
  closeSync(fd);
}
