import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger } from "@headroom/runtime";
import { makeTempDir } from "@headroom/testing";
import { afterEach, expect, it } from "vitest";
import { chooseSocketDir } from "./access.ts";
import { startEmbedded } from "./supervisor.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

it.runIf(process.platform === "linux")(
  "starts after a loss of power, though the number in its lock files is another process of its user by now, or they are empty",
  async () => {
    const folder = await makeTempDir("pg-stale");
    cleanups.push(() => folder.remove());
    const dataDir = join(folder.path, "postgres");
    const socketDir = chooseSocketDir(dataDir, undefined);
    const paths = [join(dataDir, "postmaster.pid"), join(socketDir, ".s.PGSQL.5432.lock")];
    const first = await startEmbedded({ dataDir, logger: silentLogger });
    const texts = await Promise.all(paths.map((path) => readFile(path, "utf8")));
    await first.stop();
    const { uid, gid } = await stat(dataDir);
    const sleeper = spawn("sleep", ["300"], { cwd: "/", stdio: "ignore", uid, gid });
    cleanups.push(() => sleeper.kill("SIGKILL"));
    await once(sleeper, "spawn");

    for (const left of [texts.map((text) => text.replace(/^\d+/, String(sleeper.pid))), ["", ""]]) {
      await mkdir(socketDir, { recursive: true });
      for (const [index, path] of paths.entries()) {
        await writeFile(path, left[index] ?? "", { mode: 0o600 });
        await chown(path, uid, gid);
      }
      const server = await startEmbedded({ dataDir, logger: silentLogger });
      await server.stop();
      expect(server.adopted).toBe(false);
    }
    expect(sleeper.exitCode ?? sleeper.signalCode).toBeNull();
  },
  60_000,
);
