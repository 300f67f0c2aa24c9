import { readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataDirInUseError, startEmbedded } from "@headroom/postgres";
import { silentLogger } from "@headroom/runtime";

const suiteFolder = /^headroom-(suite|pg)-/;
/** A younger one may belong to a run that is just starting. */
const leastAgeMs = 600_000;

/** Stops and deletes the servers of earlier test runs that were killed before they could do so themselves. */
export async function removeAbandonedServers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const dir = join(tmpdir(), name);
    if (!suiteFolder.test(name) || !(await isOldAndOurs(dir))) continue;
    try {
      // Taking it over is what proves that nobody else uses it.
      const server = await startEmbedded({ dataDir: join(dir, "data"), logger: silentLogger });
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    } catch (error) {
      if (!(error instanceof DataDirInUseError)) await rm(dir, { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

async function isOldAndOurs(dir: string): Promise<boolean> {
  const found = await stat(dir).catch(() => null);
  return found !== null && found.uid === process.getuid?.() && Date.now() - found.mtimeMs > leastAgeMs;
}
