import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemPorts } from "@headroom/runtime";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { removeTree } from "./remove-tree.ts";

/** How many removals were under way at once. */
let underWay = 0;
let most = 0;
/** Is refused so many times, as a file that somebody holds open. */
let held = { path: "", times: 0 };

vi.mock("node:fs/promises", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs/promises")>();
  const counted =
    (call: (path: string) => Promise<void>) =>
    async (path: string): Promise<void> => {
      if (path === held.path && held.times > 0) {
        held.times -= 1;
        throw Object.assign(new Error("in use"), { code: "EBUSY" });
      }
      underWay += 1;
      most = Math.max(most, underWay);
      await call(path).finally(() => (underWay -= 1));
    };
  return { ...real, unlink: counted(real.unlink), rmdir: counted(real.rmdir) };
});

const { timers } = systemPorts;
let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("remove tree");
  most = 0;
  held = { path: "", times: 0 };
});
afterEach(() => {
  execFileSync("chmod", ["-R", "u+rwx", dir.path]);
  return dir.remove();
});

function makeTree(name: string): string {
  const path = join(dir.path, name);
  for (const folder of ["a/b/c", "d", ".hidden"]) {
    mkdirSync(join(path, folder), { recursive: true });
    for (let file = 0; file < 50; file += 1) writeFileSync(join(path, folder, `file ${file}`), "x");
  }
  return path;
}

describe.skipIf(process.platform === "win32")("a tree of files", () => {
  it("is removed one thing after another", async () => {
    const path = makeTree("tree");
    await removeTree(path, timers);
    expect(existsSync(path)).toBe(false);
    expect(most).toBe(1);
  });

  it("what links lead to stays, and what is not there is no error", async () => {
    const [path, other] = [makeTree("tree"), makeTree("other")];
    symlinkSync(other, join(path, "d", "link"));
    await removeTree(path, timers);
    await removeTree(path, timers);
    expect(existsSync(path)).toBe(false);
    expect(existsSync(join(other, "a/b/c/file 49"))).toBe(true);
  });

  it("folders that their owner may not write to are removed too", async () => {
    const path = makeTree("cache");
    execFileSync("chmod", ["-R", "a-w", path]);
    await removeTree(path, timers);
    expect(existsSync(path)).toBe(false);
  });

  it("a file that is held open for a moment is tried again; one that stays so is told", async () => {
    const path = makeTree("tree");
    held = { path: join(path, "d", "file 7"), times: 2 };
    await removeTree(path, timers);
    expect(existsSync(path)).toBe(false);
    held = { path: join(makeTree("tree"), "d", "file 7"), times: 100 };
    await expect(removeTree(path, timers)).rejects.toThrow("in use");
  });
});
