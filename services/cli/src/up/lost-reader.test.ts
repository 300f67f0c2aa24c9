import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { makeTempDir, type TempDir, waitFor } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runTestCli, testToken } from "../cli.test-helper.ts";

const checkout = fileURLToPath(new URL("../../../..", import.meta.url));

describe.runIf(process.platform === "linux")("headroom up whose readers are gone", { timeout: 180_000 }, () => {
  let dir: TempDir;
  let up: ChildProcess | undefined;
  beforeEach(async () => {
    dir = await makeTempDir("reader");
  });
  afterEach(async () => {
    if (up !== undefined && up.exitCode === null && up.signalCode === null) {
      const ended = endOf(up);
      up.kill("SIGTERM");
      await ended;
    }
    await dir.remove();
  });

  it("goes on serving, has in its log what it said, and SIGTERM stops everything", async () => {
    const dataDir = join(dir.path, "data");
    const log = (): string => readIfThere(join(dataDir, "logs", "up.log"));
    up = await startWithoutReaders(dataDir);
    const ended = endOf(up);
    await waitFor(async () => (await queueStatus(dataDir)) === 0, { timeoutMs: 60_000, describe: log });

    // Told on stderr, where nobody reads. The agent has no port that somebody else might take meanwhile.
    process.kill(pidOfPart(up.pid ?? 0, "agent"), "SIGKILL");
    await waitFor(() => log().includes("the agent runs again"), { timeoutMs: 60_000, describe: log });
    expect(await queueStatus(dataDir)).toBe(0);

    up.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(log()).toContain("stopping PostgreSQL");
    expect(existsSync(join(dataDir, "postgres", "PG_VERSION"))).toBe(true);
    expect(existsSync(join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
  });
});

async function startWithoutReaders(dataDir: string): Promise<ChildProcess> {
  await promisify(execFile)(process.execPath, [join(checkout, "scripts/build.mjs")], { timeout: 120_000 });
  const own = Object.entries(process.env).filter(([name]) => !/^(HEADROOM_|PAUSE_|.*DATABASE_URL|VITEST)/.test(name));
  const child = spawn(process.execPath, [join(checkout, "dist/headroom.mjs"), "up"], {
    env: {
      ...Object.fromEntries(own),
      HEADROOM_DATA_DIR: dataDir,
      HEADROOM_TOKEN: testToken,
      HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0",
      HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0",
      HEADROOM_ORCHESTRATOR_GRPC_ADDR: "127.0.0.1:0",
      HEADROOM_ORCHESTRATOR_HTTP_ADDR: "127.0.0.1:0",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout?.destroy();
  child.stderr?.destroy();
  return child;
}

function endOf(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => void child.once("exit", (code, signal) => resolve(signal ?? code)));
}

async function queueStatus(dataDir: string): Promise<number> {
  return (await runTestCli(["queue", "status"], { env: { HEADROOM_DATA_DIR: dataDir } })).code;
}

function pidOfPart(parent: number, part: string): number {
  const children = readIfThere(`/proc/${parent}/task/${parent}/children`).trim().split(" ");
  const pid = children.find((child) => readIfThere(`/proc/${child}/cmdline`).endsWith(`\0${part}\0`));
  if (pid === undefined) throw new Error(`process ${parent} runs no ${part}`);
  return Number(pid);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
