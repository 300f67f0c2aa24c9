import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { captureLogger, type ManualPorts, makeTempDir, manualPorts, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AgentDirInUseError, lockDataDir } from "./data-dir-lock.ts";

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("data-dir-lock");
});
afterEach(() => dir.remove());

/** Lets time pass until the promise has its outcome, at most 60 s; answers how much. */
async function passing(ports: ManualPorts, promise: Promise<unknown>): Promise<number> {
  const startMs = ports.clock.monotonic();
  const state = { settled: false };
  const settle = (): void => void (state.settled = true);
  promise.then(settle, settle);
  while (!state.settled && ports.clock.monotonic() - startMs < 60_000) {
    await ports.advance(50);
    // Files are read in real time.
    await pause(2);
  }
  return ports.clock.monotonic() - startMs;
}

describe("an agent whose predecessor still has the folder", () => {
  it("is told at once when it does not wait", async () => {
    const first = await lockDataDir(dir.path, manualPorts());
    const ports = manualPorts();
    const second = lockDataDir(dir.path, ports);
    expect(await passing(ports, second)).toBeLessThan(1_000);
    await expect(second).rejects.toThrow(
      `If it is ending its commands, wait for it; else stop it (kill ${process.pid})`,
    );
    await first.release();
  });

  it("waits for it to let go, and says once that it does", async () => {
    const first = await lockDataDir(dir.path, manualPorts());
    const logger = captureLogger();
    const ports = manualPorts();
    const second = lockDataDir(dir.path, ports, { waitMs: 30_000, logger });
    while (ports.clock.monotonic() < 5_000) await passing(ports, pause(10));
    expect(logger.records.map(({ level, message }) => [level, message])).toEqual([
      [
        "warn",
        `process ${process.pid}, the agent before it, is given 30 s to end its commands and let go of ${dir.path}`,
      ],
    ]);
    await first.release();
    expect(await passing(ports, second)).toBeLessThan(2_000);
    await (await second).release();
    expect(logger.records).toHaveLength(1);
  });

  it("gives up when the time is over", async () => {
    const first = await lockDataDir(dir.path, manualPorts());
    const ports = manualPorts();
    const second = lockDataDir(dir.path, ports, { waitMs: 30_000 });
    expect(await passing(ports, second)).toBeGreaterThanOrEqual(30_000);
    await expect(second).rejects.toBeInstanceOf(AgentDirInUseError);
    await first.release();
  });

  it("waits no longer when it is stopped", async () => {
    const first = await lockDataDir(dir.path, manualPorts());
    const stop = new AbortController();
    const ports = manualPorts();
    const second = lockDataDir(dir.path, ports, { waitMs: 30_000, signal: stop.signal });
    const stopped = expect(second).rejects.toThrow("stopped");
    await passing(ports, pause(20));
    stop.abort(new Error("stopped"));
    await stopped;
    await first.release();
  });

  it("is told where it is, and no kill, when that is another machine", async () => {
    const ports = manualPorts();
    const first = await lockDataDir(dir.path, ports);
    const path = join(dir.path, "lock", "1");
    const claim = JSON.parse(await readFile(path, "utf8"));
    await writeFile(
      path,
      JSON.stringify({ ...claim, place: { ...claim.place, host: "desk-7", boot_id: "another", on_own_disk: false } }),
    );
    const logger = captureLogger();
    const second = lockDataDir(dir.path, ports, { logger });
    await passing(ports, second);
    await expect(second).rejects.toThrow(
      `another agent (process ${process.pid} on host desk-7) already runs on ${dir.path}. Stop it where it runs`,
    );
    await expect(second).rejects.not.toThrow("kill");
    expect(logger.text()).toContain("looking for up to 15 s whether process");
    await first.release();
  });
});
