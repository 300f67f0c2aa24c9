import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  captureLogger,
  makeTempDir,
  manualPorts,
  waitFor,
  type CapturingLogger,
  type TempDir,
} from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FolderRemover, removeAgainMs } from "./folder-remover.ts";

let dir: TempDir;
let logger: CapturingLogger;
beforeEach(async () => {
  dir = await makeTempDir("remover");
  logger = captureLogger();
});
afterEach(() => {
  // Other than ours, this tool goes down into folders step by step.
  execFileSync("rm", ["-rf", dir.path]);
});

/** So deep that the system takes no path to its end: nobody can remove it by its path, not even root. */
function makeDeep(name: string): string {
  const path = join(dir.path, name);
  const script = `
    const { mkdirSync } = require("node:fs");
    mkdirSync(${JSON.stringify(path)});
    process.chdir(${JSON.stringify(path)});
    for (let depth = 0; depth < 30; depth += 1) {
      mkdirSync("x".repeat(200));
      process.chdir("x".repeat(200));
    }`;
  execFileSync(process.execPath, ["-e", script]);
  return path;
}

const told = (path: string): string[] =>
  logger.records.filter(({ fields }) => fields["path"] === path).map(({ level }) => level);

describe.skipIf(process.platform === "win32")("a working folder that cannot be removed", () => {
  it("is told once, tried again every few minutes, and told when it is gone", async () => {
    const ports = manualPorts();
    const remover = new FolderRemover(ports.timers, logger);
    const [one, other] = [makeDeep("one"), makeDeep("other")];
    await remover.remove(one);
    await remover.remove(other);
    expect(ports.timers.pendingDelays()).toEqual([removeAgainMs]);
    await ports.advance(removeAgainMs);
    await waitFor(() => ports.timers.pendingDelays().length === 1);
    expect([told(one), told(other)]).toEqual([
      ["warn", "debug"],
      ["warn", "debug"],
    ]);
    execFileSync("sh", ["-c", `rm -rf '${one}'/x*`]);
    await ports.advance(removeAgainMs);
    await waitFor(() => ports.timers.pendingDelays().length === 1);
    expect(existsSync(one)).toBe(false);
    expect([told(one), told(other)]).toEqual([
      ["warn", "debug", "info"],
      ["warn", "debug", "debug"],
    ]);
  });

  it("is left alone once it is in use again", async () => {
    const ports = manualPorts();
    const remover = new FolderRemover(ports.timers, logger);
    const [used, other] = [makeDeep("used"), makeDeep("other")];
    await remover.remove(used);
    await remover.remove(other);
    await remover.forget(used);
    execFileSync("sh", ["-c", `rm -rf '${used}'/x* '${other}'/x*`]);
    await ports.advance(removeAgainMs);
    await waitFor(() => told(other).includes("info"));
    expect(existsSync(other)).toBe(false);
    expect(existsSync(used)).toBe(true);
    expect(ports.timers.pendingDelays()).toEqual([]);
  });
});
