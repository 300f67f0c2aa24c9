import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findPostmaster, isYounger } from "./postmaster.ts";

let dir: TempDir;

beforeAll(async () => {
  dir = await makeTempDir("postmaster");
  // As it is when root runs Headroom: PostgreSQL does not run as root.
  if (process.getuid?.() === 0) await chown(dir.path, 65_534, 65_534);
});
afterAll(() => dir.remove());

async function findWithPid(pid: number): Promise<number | undefined> {
  await writeFile(join(dir.path, "postmaster.pid"), `${pid}\n${dir.path}\n0\n5432\n/somewhere\n`);
  return (await findPostmaster(dir.path))?.pid;
}

// After a loss of power the number in the file is anybody's. For an ordinary user the first process is another user's, whose folder cannot be seen.
it.skipIf(process.platform === "win32")(
  "takes no process of another user, or in another folder, for its own",
  async () => {
    expect(await findWithPid(1)).toBeUndefined();
    if (process.platform === "linux") expect(await findWithPid(process.pid)).toBeUndefined();
  },
);

it("tells by what `ps` says whether a process began after the server did", () => {
  const startedS = Date.UTC(2026, 0, 1, 12, 0, 0) / 1_000;
  expect(isYounger("Thu Jan  1 12:00:00 2026", startedS)).toBe(false);
  expect(isYounger("Thu Jan  1 12:00:05 2026", startedS)).toBe(false);
  expect(isYounger("Thu Jan  1 12:01:00 2026", startedS)).toBe(true);
  // Not told: nobody is to be taken for another one.
  expect(isYounger("Thu Jan  1 12:01:00 2026", 0)).toBe(false);
  expect(isYounger("unknown", startedS)).toBe(false);
});
