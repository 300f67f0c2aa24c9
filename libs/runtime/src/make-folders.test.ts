import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeFolders } from "./make-folders.ts";

describe("makeFolders", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "headroom-folders-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it("makes all that is missing, and is content with what is there, also when several make it at once", async () => {
    for (let round = 0; round < 50; round += 1) {
      const path = join(dir, `round-${round}`, "a", "b", "c");
      const made = await Promise.all(Array.from({ length: 8 }, () => makeFolders(path, 0o700)));
      // One alone made it.
      expect(made.filter((isNew) => isNew)).toHaveLength(1);
    }
    const path = join(dir, "round-0", "a", "b", "c");
    expect(await makeFolders(path, 0o700)).toBe(false);
    expect((await stat(path)).isDirectory()).toBe(true);
  });

  it("refuses a file in the way", async () => {
    await writeFile(join(dir, "file"), "");
    await expect(makeFolders(join(dir, "file"), 0o700)).rejects.toThrow("EEXIST");
    await expect(makeFolders(join(dir, "file", "below"), 0o700)).rejects.toThrow("ENOTDIR");
  });

  it.runIf(process.platform === "linux")("says at once what can never be made", async () => {
    await expect(makeFolders("/proc/headroom/data", 0o700)).rejects.toThrow("ENOENT");
  });
});
