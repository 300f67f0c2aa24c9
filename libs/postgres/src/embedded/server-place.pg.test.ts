import { mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { processStartTime, silentLogger } from "@headroom/runtime";
import { makeTempDir, spawnScript, waitFor } from "@headroom/testing";
import { afterEach, expect, it } from "vitest";
import { startEmbedded } from "./supervisor.ts";

const ownerProgram = fileURLToPath(new URL("./owner.test-helper.ts", import.meta.url));
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A server whose owner has been killed, and which goes on. */
async function abandonedServer(): Promise<{ dataDir: string; pid: number }> {
  const folder = await makeTempDir("pg-place");
  cleanups.push(() => folder.remove());
  const dataDir = join(folder.path, "postgres");
  const owner = await spawnScript(ownerProgram, { args: [dataDir, `${dataDir}.programs`] });
  const { pid } = JSON.parse(await owner.line("READY ")) as { pid: number };
  owner.child.kill("SIGKILL");
  await owner.ended();
  return { dataDir, pid };
}

/** As if it had been started there. */
async function retell(dataDir: string, change: object): Promise<void> {
  const path = `${dataDir}.place`;
  await writeFile(path, JSON.stringify({ ...(JSON.parse(await readFile(path, "utf8")) as object), ...change }));
}

async function startAndStop(dataDir: string): Promise<{ adopted: boolean }> {
  const server = await startEmbedded({ dataDir, logger: silentLogger });
  await server.stop();
  return { adopted: server.adopted };
}

const isGone = async (pid: number): Promise<boolean> => (await processStartTime(pid)) === null;

it.runIf(process.platform === "linux")(
  "a server that runs on in another container is not joined by a second one, and does not matter when it is dead",
  async () => {
    const { dataDir, pid } = await abandonedServer();
    await retell(dataDir, { pid_namespace: "pid:[1]" });
    // Its number there, which is nobody's here.
    const pidFile = join(dataDir, "postmaster.pid");
    const written = await readFile(pidFile, "utf8");
    await writeFile(pidFile, written.replace(String(pid), String(2 ** 22 + 1)));
    const refused = startAndStop(dataDir);
    await expect(refused).rejects.toThrow(
      /process \d+ in another container of this machine .* still runs: stop it there/,
    );
    // Refused once, it is refused again.
    await expect(startAndStop(dataDir)).rejects.toThrow("still runs");
    expect(await isGone(pid)).toBe(false);
    process.kill(pid, "SIGKILL");
    await waitFor(() => isGone(pid));
    expect(await startAndStop(dataDir)).toEqual({ adopted: false });
  },
  90_000,
);

it.runIf(process.platform === "linux")(
  "what an earlier version told beside a link to the folder counts where nothing is told beside the folder",
  async () => {
    const { dataDir, pid } = await abandonedServer();
    process.kill(pid, "SIGKILL");
    await waitFor(() => isGone(pid));
    await retell(dataDir, { host: "other", boot_id: "another start", on_own_disk: false });
    const link = join(`${dataDir}.links`, "postgres");
    await mkdir(dirname(link));
    await symlink(dataDir, link);
    await rename(`${dataDir}.place`, `${link}.place`);
    await expect(startAndStop(link)).rejects.toThrow("on host other, was not stopped and may still run");
    // From now on it is told for all.
    await expect(startAndStop(dataDir)).rejects.toThrow("on host other, was not stopped and may still run");
    await rm(join(dataDir, "postmaster.pid"));
    expect(await startAndStop(link)).toEqual({ adopted: false });
  },
  90_000,
);

it.runIf(process.platform === "linux")(
  "of a server that another machine did not stop nothing can be told: a person has to",
  async () => {
    const { dataDir, pid } = await abandonedServer();
    process.kill(pid, "SIGKILL");
    await waitFor(() => isGone(pid));
    await retell(dataDir, { host: "other", boot_id: "another start", on_own_disk: false });
    await expect(startAndStop(dataDir)).rejects.toThrow(
      `on host other, was not stopped and may still run, which cannot be seen from here: make sure that it does not, delete ${join(dataDir, "postmaster.pid")} and start again`,
    );
    await rm(join(dataDir, "postmaster.pid"));
    expect(await startAndStop(dataDir)).toEqual({ adopted: false });
    // Stopped in order, its place does not matter.
    await retell(dataDir, { host: "other", boot_id: "another start", on_own_disk: false });
    expect(await startAndStop(dataDir)).toEqual({ adopted: false });
  },
  90_000,
);

it("a server that was left running here is taken over, also where its place is told otherwise", async () => {
  const { dataDir } = await abandonedServer();
  if (process.platform === "linux") await retell(dataDir, { host: "renamed", boot_id: null });
  expect(await startAndStop(dataDir)).toEqual({ adopted: true });
});
