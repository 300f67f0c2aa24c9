import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { processStartTime } from "@headroom/runtime";
import { makeTempDir, manualPorts, waitFor } from "@headroom/testing";
import { afterEach, describe, expect, it } from "vitest";
import { removeStaleLocks } from "./stale-locks.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function freshDir(): Promise<string> {
  const dir = await makeTempDir("locks");
  cleanups.push(() => dir.remove());
  return dir.path;
}

async function run(program: string, args: string[], cwd: string): Promise<ChildProcess> {
  const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "ignore"] });
  cleanups.push(() => child.kill("SIGKILL"));
  await once(child, "spawn");
  return child;
}

/** Its number stays, because its parent has become a program that does not ask after it: before it ends, for a shell may ask. */
async function endedButThere(): Promise<number> {
  const parent = await run("sh", ["-c", "sleep 0.5 & echo $!; exec sleep 60"], "/");
  const [line] = (await once(parent.stdout ?? parent, "data")) as [Buffer];
  const pid = Number(line.toString());
  await waitFor(async () => (await processStartTime(pid)) === null);
  return pid;
}

/** What is left of `postmaster.pid` and the socket's lock, of which each holds its text. */
async function leftOf(dataDir: string, pidFile: string, socketLock: string): Promise<string[]> {
  const dir = await freshDir();
  await writeFile(join(dataDir, "postmaster.pid"), pidFile);
  await writeFile(join(dir, ".s.PGSQL.5432.lock"), socketLock);
  const ports = manualPorts();
  const done = removeStaleLocks(dataDir, { kind: "socket", dir, port: 5432 }, ports.timers).then(() => true);
  let isDone = false;
  void done.then(() => (isDone = true));
  await waitFor(async () => {
    await ports.advance(1_000);
    return isDone;
  });
  return [...(await readdir(dataDir)), ...(await readdir(dir))];
}

const both = ["postmaster.pid", ".s.PGSQL.5432.lock"];

describe.runIf(process.platform === "linux")("a lock file of PostgreSQL's", () => {
  it("goes when its number is another process's, or that of one that has ended and is not forgotten", async () => {
    const dataDir = await freshDir();
    const other = await run("sleep", ["60"], "/");
    for (const pid of [other.pid, await endedButThere()]) {
      const text = `${pid}\n${dataDir}\n1\n`;
      expect(await leftOf(dataDir, text, text)).toEqual([]);
    }
    expect(other.exitCode).toBeNull();
  });

  it("goes when it is empty or of zeros", async () => {
    expect(await leftOf(await freshDir(), "", "\0".repeat(64))).toEqual([]);
  });

  it("stays when it may be a living server's, and when PostgreSQL itself sees that it is not", async () => {
    const dataDir = await freshDir();
    const server = await run("sleep", ["60"], dataDir);
    const other = await run("sleep", ["60"], "/");
    const its = `${server.pid}\n${dataDir}\n1\n`;
    // Of a server that shares the socket's folder.
    expect(await leftOf(dataDir, its, `${other.pid}\n/elsewhere\n1\n`)).toEqual(both);
    // By hand: `postgres --single`.
    expect(await leftOf(dataDir, `-${other.pid}\n${dataDir}\n1\n`, its)).toEqual(both);
    const dead = `${2 ** 22 + 1}\n${dataDir}\n1\n`;
    expect(await leftOf(dataDir, dead, dead)).toEqual(both);
  });
});
