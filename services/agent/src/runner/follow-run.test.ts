import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemProcessTable } from "../processes/system-table.ts";
import { followRun } from "./follow-run.ts";
import { ProcessGroup } from "./process-group.ts";
import { systemRunner } from "./system-runner.ts";

const processes = systemProcessTable();
let dir: TempDir;

beforeEach(async () => {
  dir = await makeTempDir("follow");
});
afterEach(() => dir.remove());

describe("followRun", () => {
  it("holds back no result for what follows it, such as the removal of a huge folder", async () => {
    const child = spawn(process.execPath, ["-e", ""], { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const pid = child.pid ?? 0;
    const run = followRun({
      child,
      pid,
      startedAtMs: 0,
      group: new ProcessGroup({ groupId: pid, attemptId: `follow-${pid}`, processes }),
      sink: () => Promise.resolve(),
      ports: systemPorts,
      logger: silentLogger,
      childCpu: { takeMs: () => null },
      afterwards: () => new Promise(() => undefined),
    });
    expect(await run.ended).toMatchObject({ exitCode: 0 });
  });
});

describe("systemRunner.start", () => {
  it("asks right before the process is made whether it may still be, and leaves nothing behind if not", async () => {
    const freshDir = join(dir.path, "work");
    const { env } = process;
    const runner = systemRunner({ ports: systemPorts, logger: silentLogger, processes, freshDir, env });
    const made = join(dir.path, "made");
    const argv = [process.execPath, "-e", `require("fs").writeFileSync(${JSON.stringify(made)}, "")`];
    const spec = { attemptId: "withheld", taskId: "task", planId: "plan", env: {}, workingDir: "", cards: [] };
    const ignore = (): Promise<void> => Promise.resolve();
    let foldersWhenAsked: readonly string[] = [];
    let mayStart = true;
    const refused = runner.start({ ...spec, argv }, ignore, () => {
      foldersWhenAsked = existsSync(join(freshDir, "withheld")) ? ["withheld"] : [];
      return mayStart;
    });
    // It changes while the start is under way.
    mayStart = false;
    expect(await refused).toEqual({ kind: "withheld" });
    expect(foldersWhenAsked).toEqual(["withheld"]);
    expect(await readdir(freshDir)).toEqual([]);
    expect(existsSync(made)).toBe(false);
    const allowed = await runner.start({ ...spec, argv }, ignore, () => true);
    if (allowed.kind !== "started") throw new Error(JSON.stringify(allowed));
    await allowed.run.ended;
    expect(existsSync(made)).toBe(true);
  });
});
