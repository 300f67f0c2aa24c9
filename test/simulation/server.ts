import { type EmbeddedPostgres, startEmbedded } from "@headroom/postgres";
import { silentLogger } from "@headroom/runtime";

/** What would make runs slower, or different from each other. */
const settings = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  autovacuum: "off",
  jit: "off",
};

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
