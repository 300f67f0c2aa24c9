import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { identityFileName, ownerHoldFileName } from "@headroom/agent";
import { dataPaths, systemClock, takeOwnerLock } from "@headroom/runtime";
import { makeTempDir, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliOutcome, runTestCli } from "../cli.test-helper.ts";

let dir: TempDir;
beforeEach(async () => {
  dir = await makeTempDir("agent-hold");
});
afterEach(() => dir.remove());

const run = (command: string, ...args: string[]): Promise<CliOutcome> =>
  runTestCli(["--data-dir", dir.path, "agent", command, ...args]);

/** The folder of an agent that has started once. */
async function agentDir(): Promise<string> {
  const path = dataPaths(dir.path).agentDir;
  await mkdir(path);
  await writeFile(join(path, identityFileName), '{"agent_id": "aaaa1111-1111-4111-8111-111111111111"}');
  return path;
}

describe("agent hold", () => {
  it("holds where an agent runs, and release ends it", async () => {
    const path = await agentDir();
    const lock = await takeOwnerLock(join(path, "lock"), { clock: systemClock });
    expect(lock.kind).toBe("taken");
    const held = await run("hold", "--reason", "gaming");
    expect(held.stderr).toMatch(/^no new work comes to this machine; what runs goes on/);
    expect([held.code, await readFile(join(path, ownerHoldFileName), "utf8")]).toEqual([0, "gaming\n"]);
    expect((await run("release")).code).toBe(0);
    expect(await readdir(path)).not.toContain(ownerHoldFileName);
  });

  it("says that it holds from the next start on where the agent does not run", async () => {
    const path = await agentDir();
    const never = await run("hold");
    expect(never.stderr).toContain(`no agent runs on ${path}: it is held from its next start on`);
    const lock = await takeOwnerLock(join(path, "lock"), { clock: systemClock });
    if (lock.kind === "taken") await lock.lock.release();
    const stopped = await run("hold");
    expect(stopped.stderr).toContain("it is held from its next start on");
    expect([never.code, stopped.code]).toEqual([0, 0]);
    expect(await readdir(path)).toContain(ownerHoldFileName);
  });
});

describe.each(["hold", "release"])("agent %s where no agent has ever been", (command) => {
  it("is refused with the way out, and creates nothing", async () => {
    const { code, stdout, stderr } = await run(command);
    expect(stderr).toMatch(
      new RegExp(
        `^headroom: ${dataPaths(dir.path).agentDir} is not the folder of an agent .*\\(NO_AGENT_HERE\\)\n {2}.*--data-dir, or be the user`,
      ),
    );
    expect([code, stdout, await readdir(dir.path)]).toEqual([1, "", []]);
  });

  it("is refused in a folder that only looks like one", async () => {
    const { agentDir: path } = dataPaths(dir.path);
    await mkdir(path);
    expect((await run(command)).stderr).toContain("NO_AGENT_HERE");
    expect(await readdir(path)).toEqual([]);
  });
});
