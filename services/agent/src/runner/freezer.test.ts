import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { captureLogger, makeTempDir, waitFor, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemProcessTable } from "../processes/system-table.ts";
import { Freezer } from "./freezer.ts";
import { ProcessGroup } from "./process-group.ts";
import type { Run } from "./runner.ts";
import { systemRunner } from "./system-runner.ts";
import { attemptMarker } from "./task-environment.ts";

const processes = systemProcessTable();
let tests = 0;
let attemptId: string;
let dir: TempDir;
let text: string;
let runs: Run[];

beforeEach(async () => {
  tests += 1;
  attemptId = `freezer-${process.pid}-${tests}`;
  dir = await makeTempDir("freezer");
  text = "";
  runs = [];
});
afterEach(async () => {
  for (const run of runs) run.end(0);
  await Promise.all(runs.map((run) => run.ended));
  await dir.remove();
});

async function start(script: string): Promise<Run> {
  const { env } = process;
  const runner = systemRunner({ ports: systemPorts, logger: silentLogger, processes, freshDir: dir.path, env });
  const argv = ["bash", "-c", script];
  const spec = { attemptId, taskId: "task", planId: "plan", argv, env: {}, workingDir: "", cards: [] };
  const outcome = await runner.start(spec, (_source, data) => {
    text += data.toString();
    return Promise.resolve();
  });
  if (outcome.kind !== "started") throw new Error(JSON.stringify(outcome));
  runs.push(outcome.run);
  return outcome.run;
}

/** The letters of their states in /proc, in any order; "T" is stopped. */
async function states(): Promise<string> {
  const { found } = await processes.withEnvironment(attemptMarker(attemptId), null);
  const stats = await Promise.all(
    found.map(({ pid }) => readFile(`/proc/${pid}/stat`, "latin1").catch(() => ") gone")),
  );
  return stats.map((stat) => stat.slice(stat.lastIndexOf(")") + 2).slice(0, 1)).join("");
}

const untilAll = (pattern: RegExp): Promise<unknown> =>
  waitFor(async () => pattern.test(await states()), { timeoutMs: 5_000, describe: `states like ${String(pattern)}` });
const untilItWrites = (): Promise<unknown> => {
  const before = text.length;
  return waitFor(() => text.length > before + 4);
};
/** Ends after ten seconds, should it be left running. */
const work = "for i in {1..500}; do echo x; sleep 0.02; done";

describe.runIf(process.platform === "linux")("Run.freeze", () => {
  it.each([
    ["timeout", `timeout 1h bash -c '${work}'`],
    ["setsid", `setsid bash -c '${work}' & wait`],
    ["a shell with job control", `set -m; bash -c '${work}'`],
    ["one inside the other", `timeout 1h bash -c "setsid bash -c 'set -m; ${work}' & wait"`],
  ])("stops what %s has put into a group of its own, and lets it go on", async (_name, script) => {
    const run = await start(`${script}; echo over`);
    await untilItWrites();
    run.freeze();
    await untilAll(/^T{2,}$/);
    const before = text.length;
    await pause(200);
    expect(text.length).toBe(before);
    run.thaw();
    await untilItWrites();
    expect(text).not.toContain("over");
    expect(await states()).not.toContain("T");
  });

  it("stops what a command has left behind", async () => {
    const run = await start(`setsid bash -c 'trap "echo asked" TERM; ${work}' & sleep 0.2`);
    // A freeze that comes before it was found would make way for its TERM.
    await waitFor(() => text.includes("asked"));
    run.freeze();
    await untilAll(/^T+$/);
    run.thaw();
    await untilItWrites();
  });

  it("ends all that was stopped, by TERM", async () => {
    const run = await start(`timeout 1h bash -c 'trap "echo asked; exit" TERM; ${work}'`);
    await untilItWrites();
    run.freeze();
    await untilAll(/^T{2,}$/);
    run.end(10_000);
    await run.ended;
    expect(text).toContain("asked");
  });
});

describe.runIf(process.platform === "linux")("Freezer", () => {
  it("stops nothing any more when it was thawed while it looked", async () => {
    const run = await start(`timeout 1h bash -c '${work}'`);
    await untilItWrites();
    let looks = 0;
    let goOn: () => void = () => undefined;
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
    const slow = {
      ...processes,
      async list() {
        const rows = await processes.list();
        looks += 1;
        await mayGoOn;
        return rows;
      },
    };
    const options = { timers: systemPorts.timers, logger: silentLogger, isOurs: () => true };
    const freezer = new Freezer(new ProcessGroup({ groupId: run.pid, attemptId, processes: slow }), options);
    freezer.freeze();
    await waitFor(() => looks === 1);
    freezer.thaw();
    goOn();
    await pause(100);
    expect(await states()).not.toContain("T");
    expect(looks).toBe(1);
    await untilItWrites();
  });

  it("gives up, and says so, when new ones come all the time", async () => {
    const logger = captureLogger();
    // Above all that Linux gives.
    let pid = 5_000_000;
    const table = { ...processes, list: () => Promise.resolve([rowOf((pid += 1))]) };
    const timers = { after: (_delayMs: number, fn: () => void) => systemPorts.timers.after(0, fn) };
    const freezer = new Freezer(new ProcessGroup({ groupId: 9_000_000, attemptId, processes: table }), {
      timers,
      logger,
      isOurs: () => false,
    });
    freezer.freeze();
    await waitFor(() => logger.has("new ones come all the time", "warn"));
  });
});

const rowOf = (pid: number) => ({
  pid,
  parentPid: 1,
  groupId: 9_000_000,
  sessionId: 1,
  startToken: "",
  cpuMs: 0,
  residentMib: 0,
});
