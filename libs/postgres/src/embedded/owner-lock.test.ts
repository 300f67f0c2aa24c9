import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { makeTempDir } from "@headroom/testing";
import { DataDirInUseError } from "./errors.ts";
import { type OwnerLock, takeOwnerLock } from "./owner-lock.ts";
import { isSameProcess, processStartTime } from "./process-identity.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function lockDir(): Promise<string> {
  const dir = await makeTempDir("lock");
  cleanups.push(() => dir.remove());
  return join(dir.path, "data.lock");
}

async function claim(dir: string, number: number, content: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, String(number)), content);
}

describe("owner lock", () => {
  it("has one owner at a time, and the next after a release", async () => {
    const dir = await lockDir();
    const first = await takeOwnerLock(dir, "data");
    await expect(takeOwnerLock(dir, "data")).rejects.toThrow(DataDirInUseError);
    await first.release();
    await first.release();
    const second = await takeOwnerLock(dir, "data");
    await first.release();
    await expect(takeOwnerLock(dir, "data")).rejects.toThrow(`process ${process.pid} already runs`);
    await second.release();
  });

  it("takes over from the dead, from a pid that was given to another process, and from half a file", async () => {
    for (const content of [
      JSON.stringify({ pid: 2 ** 22 + 1, start_time: "boot 1" }),
      JSON.stringify({ pid: process.pid, start_time: "an earlier boot 1" }),
      "",
    ]) {
      const dir = await lockDir();
      await claim(dir, 7, content);
      await (await takeOwnerLock(dir, "data")).release();
      expect((await readdir(dir)).toSorted()).toEqual(["8"]);
    }
  });

  it("of many who find the owner dead one alone takes over, round after round", async () => {
    const dir = await lockDir();
    for (let round = 0; round < 30; round += 1) {
      await claim(dir, 1_000 * (round + 1), JSON.stringify({ pid: 2 ** 22 + 1, start_time: "boot 1" }));
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => takeOwnerLock(dir, "data")));
      const won = tries.filter(
        (outcome): outcome is PromiseFulfilledResult<OwnerLock> => outcome.status === "fulfilled",
      );
      expect(won).toHaveLength(1);
      for (const outcome of tries) {
        if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(DataDirInUseError);
      }
      await won[0]?.value.release();
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
