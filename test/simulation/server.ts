import { statfs } from "node:fs/promises";
import { type EmbeddedPostgres, startEmbedded } from "@headroom/postgres";
import { silentLogger } from "@headroom/runtime";
import { makeTempDir, type TempDir } from "@headroom/testing";

/** What would make runs slower, or different from each other. */
const settings = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  autovacuum: "off",
  jit: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  max_wal_size: "256MB",
};

const memoryDir = "/dev/shm";
const enoughBytes = 2 * 2 ** 30;

/** For the server's data: in memory where that has room, for emptying all tables for each world is mostly the file system's work. */
export async function makeSimulationDir(): Promise<TempDir> {
  const free = await statfs(memoryDir).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => 0,
  );
  return makeTempDir("simulation", free > enoughBytes ? memoryDir : undefined);
}

/** The real PostgreSQL behind simulated worlds. Nothing of it is to be kept. */
export function startSimulationServer(dataDir: string, programsDir?: string): Promise<EmbeddedPostgres> {
  return startEmbedded({
    dataDir,
    logger: silentLogger,
    settings,
    ...(programsDir !== undefined && { programsDir }),
  });
}

/** The same server's other database. */
export function databaseUrl(serverUrl: string, name: string): string {
  // Not with URL: it refuses the user without a host that a Unix socket's URL may have.
  return serverUrl.replace(/^([a-z]+:\/\/[^/]*\/)[^?]*/, `$1${name}`);
}
