import { join } from "node:path";
import { startEmbedded } from "@headroom/postgres";
import { createLogger } from "@headroom/runtime";
import { makeTempDir } from "@headroom/testing";
import { removeAbandonedServers } from "./abandoned-servers.ts";

/** One PostgreSQL for the whole run: that of TEST_DATABASE_URL, or an embedded one in a temporary folder. */
export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env["TEST_DATABASE_URL"]) return undefined;
  const logger = createLogger({ name: "test-postgres", level: "warn", stderr: true });
  await removeAbandonedServers();
  const dir = await makeTempDir("suite");
  const server = await startEmbedded({
    dataDir: join(dir.path, "data"),
    logger,
    // What a test writes need not survive a power cut; tests of durability have a server of their own.
    settings: { fsync: "off", full_page_writes: "off" },
  });
  // Workers are forked after this and inherit it.
  process.env["TEST_DATABASE_URL"] = server.connectionString;
  return async () => {
    await server.stop();
    await dir.remove();
  };
}
