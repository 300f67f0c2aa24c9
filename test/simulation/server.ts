import { statfs } from "node:fs/promises";
import { join } from "node:path";
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

/**
 * One server for each of `count` workers, in folders in `dir`. Not databases of one server: what another database's transactions still see is
 * kept in this one's pages too, so that the order of rows that come as they lie would depend on what runs beside.
 */
export async function startSimulationServers(dir: string, count: number): Promise<readonly EmbeddedPostgres[]> {
  const servers: EmbeddedPostgres[] = [];
  try {
    for (let number = 1; number <= count; number += 1)
      servers.push(await startSimulationServer(join(dir, `data-${number}`), join(dir, "programs")));
  } catch (error) {
    await stopAll(servers);
    throw error;
  }
  return servers;
}

export async function stopAll(servers: readonly EmbeddedPostgres[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}
