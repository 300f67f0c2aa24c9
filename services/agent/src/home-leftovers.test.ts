import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createDeferred, silentLogger, systemPorts, type Deferred } from "@headroom/runtime";
import { captureLogger, makeTempDir, waitFor, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createAgent } from "./agent.ts";
import { loadAgentConfig } from "./config/config.ts";
import { systemProcessTable } from "./processes/system-table.ts";
import type { ProcessRunner } from "./runner/runner.ts";
import { systemRunner } from "./runner/system-runner.ts";

/** A folder of this name takes as long to be removed as the test wants. */
const hugeName = "huge";
let removal: Deferred<void>;
let removals: string[];

vi.mock("node:fs/promises", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs/promises")>();
  return {
    ...real,
    async lstat(path: string) {
      if (path.endsWith(hugeName)) {
        removals.push(path);
        await removal.promise;
      }
      return real.lstat(path);
    },
  };
});

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("home leftovers");
  removal = createDeferred();
  removals = [];
});
afterEach(async () => {
  removal.resolve();
  // Other than ours, this tool goes down into folders step by step.
  execFileSync("rm", ["-rf", dir.path]);
});

function runnerOn(freshDir: string, logger = captureLogger()): ProcessRunner {
  return systemRunner({ ports: systemPorts, logger, processes: systemProcessTable(), freshDir, env: process.env });
}

function makeFolders(freshDir: string, ...names: readonly string[]): readonly string[] {
  const paths = names.map((name) => join(freshDir, name));
  for (const path of paths) mkdirSync(path, { recursive: true });
  return paths;
}

/** Deeper than a path can be long: neither root nor anybody else removes it by its path. */
const stuckScript = `n=$(printf 'd%.0s' $(seq 200)); for i in $(seq 30); do mkdir "$n" && cd -P "$n" || exit 1; done`;

describe.skipIf(process.platform === "win32")("working folders that an earlier program left", () => {
  it("are removed but those of attempts that may still run; one that cannot be is said, and keeps no other", async () => {
    const [stuck = "", running = "", other = ""] = makeFolders(dir.path, "attempt-a", "attempt-b", "attempt-c");
    execFileSync("sh", ["-c", stuckScript], { cwd: stuck });
    const logger = captureLogger();
    runnerOn(dir.path, logger).removeLeft?.(new Set(["attempt-b"]));
    await waitFor(() => !existsSync(other));
    expect([existsSync(stuck), existsSync(running)]).toEqual([true, true]);
    expect(logger.records).toMatchObject([{ level: "warn", fields: { path: stuck } }]);
  });

  it("DESIGN-5: hold up neither start nor stop of the agent, however long they take to be removed", async () => {
    const config = await loadAgentConfig({ env: { HEADROOM_DATA_DIR: dir.path, HEADROOM_JOIN_TOKEN: "hrj1.token" } });
    const left = makeFolders(join(config.agentDir, "work"), hugeName, "later");
    const joins = createDeferred();
    const away = (): Promise<never> => Promise.reject(new Error("away"));
    const agent = createAgent(config, {
      ports: systemPorts,
      logger: silentLogger,
      sleepSource: { start: () => undefined, stop: () => Promise.resolve() },
      sampler: {
        start: () => Promise.resolve(),
        sample: away,
        watchPeaks: () => Promise.resolve(),
        takeTotal: () => ({ cpuMs: 0, memoryPeakMib: 0, vramPeakMib: 0 }),
      },
      connections: {
        openHeartbeat: away,
        openAttach: away,
        enroll() {
          joins.resolve();
          return Promise.reject(new Error("the join token was used before"));
        },
        close: () => undefined,
      },
    });
    const started = agent.start().catch(() => undefined);
    await joins.promise;
    await started;
    expect(removals).toHaveLength(1);
    expect(left.every((path) => existsSync(path))).toBe(true);
    removal.resolve();
    await waitFor(() => !left.some((path) => existsSync(path)));
  });

  it("are not removed under an attempt that starts anew", async () => {
    makeFolders(dir.path, hugeName);
    const runner = runnerOn(dir.path);
    runner.removeLeft?.(new Set());
    await waitFor(() => removals.length === 1);
    const spec = { attemptId: hugeName, taskId: "t", planId: "p", env: {}, workingDir: "", cards: [] };
    const lines: string[] = [];
    const start = runner.start(
      { ...spec, argv: ["sh", "-c", "echo kept > note; sleep 0.2; cat note"] },
      (_source, data) => Promise.resolve(void lines.push(data.toString())),
    );
    await new Promise(setImmediate);
    expect(removals).toHaveLength(1);
    removal.resolve();
    const started = await start;
    if (started.kind === "started") await started.run.ended;
    expect(lines.join("")).toBe("kept\n");
  });
});
