// A program that starts and ends commands by the real runner while it lacks what that takes itself. It prints each outcome as one line:
// of starts, the first with all that it takes, then those without, and where what lacked comes back, the one that starts again.
import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { readAside } from "../read-aside.ts";
import { systemProcessTable } from "../processes/system-table.ts";
import type { Run, RunStart } from "./runner.ts";
import { systemRunner } from "./system-runner.ts";

/** Enough for Node itself and for a start, and soon opened. */
const FILES = 64;

const [script = "", lack = "", dir = "", isLimited = ""] = process.argv.slice(1);

const processes = systemProcessTable();
const runner = systemRunner({
  ports: systemPorts,
  logger: silentLogger,
  processes,
  freshDir: join(dir, "work"),
  env: process.env,
});
let starts = 0;

switch (lack) {
  case "processes":
    await startWithoutProcesses();
    break;
  case "files":
    await startWithoutFiles();
    break;
  case "files at the end":
    await endWithoutFiles();
    break;
  case "files at the end of a leftover":
    await endLeftoverWithoutFiles();
    break;
  case "threads at the end of a leftover":
    await endLeftoverWithoutThreads();
    break;
  default:
    throw new RangeError(`unknown: ${lack}`);
}
console.log("DONE");

/** Node raises the soft limit to the hard one, so the shell sets both, and only for what it becomes. */
function runAgainWithFewFiles(): void {
  const again = [process.execPath, script, lack, dir, "limited"];
  const { status } = spawnSync("sh", ["-c", `ulimit -n ${FILES} && exec "$0" "$@"`, ...again], { stdio: "inherit" });
  process.exit(status ?? 1);
}

function start(...argv: readonly string[]): Promise<RunStart> {
  starts += 1;
  const attemptId = attemptIdOf(starts);
  const spec = { attemptId, taskId: "task-1", planId: "plan-1", argv, env: {}, workingDir: "", cards: [] };
  return runner.start(spec, () => Promise.resolve());
}

function attemptIdOf(number: number): string {
  return `00000000-0000-4000-8000-${String(process.pid * 1_000 + number).padStart(12, "0")}`;
}

async function tellStart(): Promise<RunStart> {
  const outcome = await start("true");
  tell(outcome.kind === "started" ? { kind: outcome.kind, end: await outcome.run.ended } : outcome);
  return outcome;
}

function tell(outcome: object): void {
  console.log(`OUTCOME ${JSON.stringify(outcome)}`);
}

async function startWithoutProcesses(): Promise<void> {
  await tellStart();
  takeProcesses();
  await tellStart();
}

async function startWithoutFiles(): Promise<void> {
  if (isLimited === "") return runAgainWithFewFiles();
  // Also makes Node's own threads and whatever else it opens only once.
  await tellStart();
  // None is left, then one, and so on up to as many as a start takes.
  for (let left = 0, kind = "failed"; kind === "failed" && left < FILES; left += 1) {
    const taken = takeFiles();
    giveBack(taken.splice(0, left));
    ({ kind } = await tellStart());
    // All come back each time: Node itself loses two where a start fails with four or five left.
    giveBack(taken);
  }
}

/** A command and a child of it, which are to end while nothing can be looked at. */
async function endWithoutFiles(): Promise<void> {
  if (isLimited === "") return runAgainWithFewFiles();
  const run = await startForGood();
  const taken = takeFiles();
  run.end(2_000);
  // Its pipes come back with it, which is enough to see that all of it has gone.
  const { signal } = await run.ended;
  giveBack(taken);
  tell({ signal });
}

/** The same, of an earlier program. */
async function endLeftoverWithoutFiles(): Promise<void> {
  if (isLimited === "") return runAgainWithFewFiles();
  const { pid, startToken, ended } = await startForGood();
  const taken = takeFiles();
  const count = runner.endLeftover({ attemptId: attemptIdOf(starts), pid, startToken, startedAtMs: null }, 2_000);
  const early = await Promise.race([count, pause(500)]);
  giveBack(taken);
  tell({ toldEarly: early !== undefined, count: await count, signal: (await ended).signal });
}

/** The one thread that is kept for looks reads a pipe that nobody writes to, and no other is to be had. */
async function endLeftoverWithoutThreads(): Promise<void> {
  const { ended } = await startForGood();
  const pipe = join(dir, "pipe");
  spawnSync("mkfifo", [pipe]);
  const read = readAside(pipe);
  takeProcesses();
  const leftover = { attemptId: attemptIdOf(starts), pid: null, startToken: null, startedAtMs: null };
  const count = runner.endLeftover(leftover, 2_000);
  const early = await Promise.race([count, pause(500)]);
  closeSync(openSync(pipe, "w"));
  await read;
  tell({ toldEarly: early !== undefined, count: await count, signal: (await ended).signal });
}

async function startForGood(): Promise<Run> {
  const outcome = await start("sh", "-c", "sleep 60 & wait");
  if (outcome.kind !== "started") throw new Error(JSON.stringify(outcome));
  await until(
    async () => ((await processes.list()) ?? []).filter((row) => row.groupId === outcome.run.pid).length === 2,
  );
  return outcome.run;
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(20);
}

function pause(forMs: number): Promise<undefined> {
  return new Promise((resolve) => void setTimeout(() => resolve(undefined), forMs));
}

/** Opens files until none is left. */
function takeFiles(): number[] {
  const taken: number[] = [];
  for (;;) {
    try {
      taken.push(openSync("/dev/null", "r"));
    } catch {
      return taken;
    }
  }
}

function giveBack(files: readonly number[]): void {
  for (const file of files) closeSync(file);
}

/** Whatever this user has running by now is more than this process may see from here on. */
function takeProcesses(): void {
  const { status, stderr } = spawnSync("sh", ["-c", "prlimit --pid $PPID --nproc=1"], { encoding: "utf8" });
  if (status !== 0) throw new Error(`prlimit: ${stderr}`);
}
