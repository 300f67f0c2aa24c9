import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { systemClock as clock } from "./clock.ts";
import { lockOwner, takeOwnerLock } from "./owner-lock.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

it("tells who holds a lock, and leaves everything as it is", async () => {
  const dir = await mkdtemp(join(tmpdir(), "headroom-lock-"));
  cleanups.push(() => rm(dir, { recursive: true, force: true }));
  const lockDir = join(dir, "lock");
  expect([await lockOwner(lockDir, clock), await readdir(dir)]).toEqual([null, []]);

  const child = spawn("sleep", ["1000"], { stdio: "ignore" });
  const result = await takeOwnerLock(lockDir, { clock, pid: child.pid ?? 0 });
  expect([result.kind, await lockOwner(lockDir, clock)]).toEqual(["taken", { pid: child.pid }]);
  child.kill("SIGKILL");
  await once(child, "exit");
  // A dead owner holds nothing.
  expect([await lockOwner(lockDir, clock), await readdir(lockDir)]).toEqual([null, ["1"]]);

  const next = await takeOwnerLock(lockDir, { clock });
  if (next.kind === "held") throw new Error(`held by ${next.pid}`);
  expect(await lockOwner(lockDir, clock)).toEqual({ pid: process.pid });
  await next.lock.release();
  expect(await lockOwner(lockDir, clock)).toBeNull();
});
