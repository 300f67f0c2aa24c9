import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock as clock } from "./clock.ts";
import { type OwnerLock, takeOwnerLock } from "./owner-lock.ts";
import { isSameProcess, processStartTime } from "./process-identity.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function lockDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "headroom-lock-"));
  cleanups.push(() => rm(dir, { recursive: true, force: true }));
  return join(dir, "data.lock");
}

async function taken(dir: string): Promise<OwnerLock> {
  const result = await takeOwnerLock(dir, { clock });
  if (result.kind === "held") throw new Error(`held by ${result.pid}`);
  return result.lock;
}

async function claim(dir: string, number: number, content: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, String(number)), content);
}

describe("owner lock", () => {
  it("has one owner at a time, and the next after a release", async () => {
    const dir = await lockDir();
    const beforeMs = clock.now();
    const first = await taken(dir);
    const held = await takeOwnerLock(dir, { clock });
    expect(held).toMatchObject({ kind: "held", pid: process.pid });
    if (held.kind === "held") expect(held.sinceMs).toBeGreaterThanOrEqual(beforeMs);
    await first.release();
    await first.release();
    const second = await taken(dir);
    // The first owner's late release does not let others in on the second.
    await first.release();
    expect(await takeOwnerLock(dir, { clock })).toMatchObject({ kind: "held" });
    await second.release();
  });

  it("takes over from the dead, from a pid that was given to another process, and from half a file", async () => {
    for (const content of [
      JSON.stringify({ pid: 2 ** 22 + 1, start_time: "boot 1", since_ms: 1 }),
      JSON.stringify({ pid: process.pid, start_time: "an earlier boot 1", since_ms: 1 }),
      "",
    ]) {
      const dir = await lockDir();
      await claim(dir, 7, content);
      await (await taken(dir)).release();
      expect((await readdir(dir)).toSorted()).toEqual(["8"]);
    }
  });

  it("of many who find the owner dead one alone takes over, round after round", async () => {
    const dir = await lockDir();
    for (let round = 0; round < 30; round += 1) {
      await claim(dir, 1_000 * (round + 1), JSON.stringify({ pid: 2 ** 22 + 1, start_time: "boot 1", since_ms: 1 }));
      const results = await Promise.all(Array.from({ length: 8 }, () => takeOwnerLock(dir, { clock })));
      const won = results.flatMap((result) => (result.kind === "taken" ? [result.lock] : []));
      expect(won).toHaveLength(1);
      await won[0]?.release();
    }
  });
});

describe("process identity", () => {
  it("knows this process and no other one by its pid", async () => {
    const startTime = await processStartTime(process.pid);
    expect(startTime).not.toBeNull();
    expect(await isSameProcess(process.pid, startTime ?? "")).toBe(true);
    expect(await isSameProcess(process.pid, "another time")).toBe(false);
    expect(await processStartTime(2 ** 22 + 1)).toBeNull();
    expect(await processStartTime(-1)).toBeNull();
  });
});
