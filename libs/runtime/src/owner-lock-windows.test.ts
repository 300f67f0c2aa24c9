/** A lock where the system tells of no process when it started: a pid alone does not prove its owner. */
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { uptime } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { temporaryFolder } from "./bundled-process.test-helper.ts";
import { systemClock as clock } from "./clock.ts";
import { readOwnerPlace } from "./owner-lock-place.ts";
import { lockOwner, takeOwnerLock } from "./owner-lock.ts";

const here = process.platform;
beforeEach(() => void Object.defineProperty(process, "platform", { value: "win32" }));
afterEach(() => void Object.defineProperty(process, "platform", { value: here }));

const bootedAtMs = (): number => clock.now() - uptime() * 1_000;

/** A lock of whoever had this process's pid. */
async function lockOf(sinceMs: number, signMs: number): Promise<string> {
  const lockDir = join(await temporaryFolder(), "lock");
  await mkdir(lockDir);
  const path = join(lockDir, "1");
  const place = await readOwnerPlace(lockDir);
  await writeFile(path, JSON.stringify({ pid: process.pid, start_time: "unknown", since_ms: sinceMs, place }));
  await utimes(path, new Date(signMs), new Date(signMs));
  return lockDir;
}

it("from before the machine was started is nobody's, whoever has its pid now", async () => {
  // Its owner gave signs until the machine went down.
  const lockDir = await lockOf(bootedAtMs() - 120_000, bootedAtMs() - 10_000);
  expect(await lockOwner(lockDir, clock)).toBeNull();
  const taken = await takeOwnerLock(lockDir, { clock });
  expect(taken.kind).toBe("taken");
  expect(await lockOwner(lockDir, clock)).toEqual({ pid: process.pid });
});

it.each<[string, number, () => number]>([
  ["taken since then", 0, () => clock.now()],
  ["taken about then", -30_000, () => bootedAtMs() - 30_000],
  ["taken by a clock that was set since, of which there is a sign", -3_600_000, () => clock.now()],
])("%s is its owner's", async (_which, sinceBootMs, signMs) => {
  const lockDir = await lockOf(bootedAtMs() + sinceBootMs, signMs());
  expect(await lockOwner(lockDir, clock)).toEqual({ pid: process.pid });
  expect(await takeOwnerLock(lockDir, { clock })).toMatchObject({ kind: "held", pid: process.pid });
});
