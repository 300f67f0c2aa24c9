import pg from "pg";
import { classifyError } from "../classify-error.ts";
import { clientConfig } from "../connection.ts";
import { quoteIdentifier } from "../session.ts";
import { type Access, connectionUrl } from "./access.ts";
import { errorCode } from "@headroom/runtime";

/** PostgreSQL's own code for "database exists already", which two who create it at once may meet. */
const duplicateDatabase = "42P04";

/** Creates a database unless it is there. */
export async function createDatabaseIfMissing(access: Access, database: string): Promise<void> {
  const client = new pg.Client(
    clientConfig(connectionUrl(access, "postgres"), {
      applicationName: "headroom-supervisor",
      connectTimeoutMs: 10_000,
    }),
  );
  client.on("error", () => undefined);
  await client.connect();
  try {
    const found = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [database]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${quoteIdentifier(database)}`);
  } catch (error) {
    const exists = errorCode(error) === duplicateDatabase;
    if (!exists && classifyError(error).kind !== "unique_violation") throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}
