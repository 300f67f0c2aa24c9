/** What an agent that starts again does first: real processes and folders, and a registry that does not answer. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { once } from "node:events";
import { createDeferred, silentLogger, systemPorts, systemTimers } from "@headroom/runtime";
import { makeTempDir, waitFor, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAgent } from "./agent.ts";
import { loadAgentConfig } from "./config/config.ts";
import { agentPaths } from "./home.ts";
import { fileJournal } from "./journal/file-journal.ts";
import { readLeftovers } from "./leftovers.ts";
import { systemProcessTable } from "./processes/system-table.ts";
import { attemptMarker } from "./runner/task-environment.ts";

const attemptId = "0b0e4b4e-7c86-4c0e-9a4e-3f4f2f3c1a77";
const earlierId = "0b0e4b4e-7c86-4c0e-9a4e-3f4f2f3c1a78";
let dir: TempDir;
let child: ChildProcess | undefined;
beforeEach(async () => {
  dir = await makeTempDir("restart order");
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await dir.remove();
});

/** A command of an agent that was killed; on TERM it notes in its folder what it has, once it may. */
async function leaveRunning(agentDir: string): Promise<ChildProcess> {
  const { freshDir, journal: path } = agentPaths(agentDir);
  const folders = [attemptId, earlierId].map((id) => join(freshDir, id));
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  const [name = "", value] = attemptMarker(attemptId).split("=");
  const script =
    "trap 'echo asked; read line; echo kept > note && echo noted; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
  const left = spawn("sh", ["-c", script], {
    cwd: join(freshDir, attemptId),
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
    env: { ...process.env, [name]: value },
  });
  child = left;
  await once(left.stdout, "data");
  const pid = left.pid ?? 0;
  const journal = fileJournal({ path, logger: silentLogger, timers: systemTimers });
  await journal.open();
  const reserved = { cpuMillicores: 0, memoryMib: 0, cards: [] };
  const about = {
    attemptId,
    fence: 1,
    taskId: "task",
    planId: "plan",
    taskName: "name",
    workLeaseMs: 60_000,
    reserved,
  };
  await journal.append({ kind: "accepted", atMs: 1, ...about });
  const startToken = await systemProcessTable().startToken(pid);
  await journal.append({ kind: "started", attemptId, fence: 1, pid, startToken, atMs: 2 });
  await journal.close();
  return left;
}

const away = (): Promise<never> => Promise.reject(new Error("away"));
/** One that never sleeps, and of which nothing is measured. */
const machine = {
  ports: systemPorts,
  logger: silentLogger,
  sleepSource: { start: () => undefined, stop: () => Promise.resolve() },
  sampler: {
    start: () => Promise.resolve(),
    sample: away,
    watchPeaks: () => Promise.resolve(),
    takeTotal: () => ({ cpuMs: 0, memoryPeakMib: 0, vramPeakMib: 0 }),
  },
};

it.skipIf(process.platform === "win32")(
  "DESIGN-5: a join that is refused is told at once, whatever its predecessor's commands take to end; the journal keeps them",
  async () => {
    const config = await loadAgentConfig({ env: { HEADROOM_DATA_DIR: dir.path, HEADROOM_JOIN_TOKEN: "hrj1.token" } });
    const left = await leaveRunning(config.agentDir);
    let text = "";
    left.stdout?.on("data", (data: Buffer) => (text += data.toString()));
    const refused = new Error("the join token was used before");
    const agent = createAgent(config, {
      ...machine,
      connections: {
        openHeartbeat: away,
        openAttach: away,
        async enroll() {
          await waitFor(() => text.includes("asked"));
          throw refused;
        },
        close: () => undefined,
      },
    });
    await expect(agent.start()).rejects.toThrow(refused.message);
    // Its command tidies up still.
    expect(left.exitCode).toBeNull();
    const leftovers = await readLeftovers(agentPaths(config.agentDir).journal);
    expect(leftovers.map((leftover) => leftover.attemptId)).toEqual([attemptId]);
  },
);

it.skipIf(process.platform === "win32")(
  "DESIGN-5: ends what its predecessor left before it joins, and removes a working folder when nobody is in it any more",
  async () => {
    const config = await loadAgentConfig({ env: { HEADROOM_DATA_DIR: dir.path, HEADROOM_JOIN_TOKEN: "hrj1.token" } });
    const left = await leaveRunning(config.agentDir);
    const { freshDir } = agentPaths(config.agentDir);
    let text = "";
    left.stdout?.on("data", (data: Buffer) => (text += data.toString()));
    const exited = once(left, "exit");
    const asked = createDeferred();
    const agent = createAgent(config, {
      ...machine,
      connections: {
        openHeartbeat: away,
        openAttach: away,
        enroll: (_request, signal) =>
          new Promise((_resolve, reject) => {
            asked.resolve();
            signal.addEventListener("abort", () => reject(new Error("stopped")));
          }),
        close: () => undefined,
      },
    });
    const started = agent.start().catch(() => undefined);
    await asked.promise;
    await waitFor(() => text.includes("asked"));
    expect([attemptId, earlierId].map((id) => existsSync(join(freshDir, id)))).toEqual([true, false]);
    left.stdin?.write("go\n");
    expect(await exited).toEqual([0, null]);
    expect(text).toContain("noted");
    await waitFor(() => !existsSync(join(freshDir, attemptId)));
    await agent.stop("the test ends");
    await started;
  },
);
