import { knex, type Knex } from "knex";
import type pg from "pg";
import type { Logger } from "@headroom/runtime";
import { clientConfig, type ConnectionTarget } from "./connection.ts";
import { prepareSession, type SessionLimits } from "./session.ts";
import { customTypes } from "./value-types.ts";

export interface KnexPoolOptions {
  readonly connection: ConnectionTarget;
  readonly schema: string;
  readonly applicationName: string;
  readonly logger: Logger;
  readonly max: number;
  readonly connectTimeoutMs: number;
  readonly acquireTimeoutMs: number;
  readonly limits: SessionLimits;
}

/** How long after its statement_timeout a server may stay silent before the connection counts as dead. */
const silenceGraceMs = 10_000;

/** The part of knex's client that its types leave out: its pool of `pg` clients. */
export interface ClientSource {
  acquireConnection(): Promise<pg.Client>;
  releaseConnection(connection: pg.Client): Promise<void>;
  readonly pool: { numUsed(): number; numFree(): number; numPendingAcquires(): number };
}

/** knex's own client behind `db`; of a transaction: a source that always gives the transaction's connection. */
export function clientSource(db: Knex): ClientSource {
  // knex types `client` as any; the three members above are what its pool and its migrations use too.
  return db.client as ClientSource;
}

/** knex over a pool of `pg` clients whose sessions are fixed to one schema and bounded in time. */
export function createKnexPool(options: KnexPoolOptions): Knex {
  const { limits, logger } = options;
  const open = new Map<string, pg.Client>();
  const db = knex({
    client: "pg",
    connection: {
      ...clientConfig(options.connection, options),
      types: customTypes,
      // A peer that vanished answers nothing at all, not even the time-out of the statement.
      ...(limits.statementTimeoutMs > 0 && { query_timeout: limits.statementTimeoutMs + silenceGraceMs }),
    },
    acquireConnectionTimeout: options.acquireTimeoutMs,
    pool: {
      min: 0,
      max: options.max,
      idleTimeoutMillis: 30_000,
      createTimeoutMillis: options.connectTimeoutMs + silenceGraceMs,
      afterCreate(client: pg.Client, done: (error: Error | null, client: pg.Client) => void) {
        const uid = knexUid(client);
        open.set(uid, client);
        client.once("end", () => open.delete(uid));
        prepareSession(client, options.schema, limits).then(
          () => done(null, client),
          (error: unknown) => {
            client.connection.stream.destroy();
            done(error instanceof Error ? error : new Error(String(error)), client);
          },
        );
      },
    },
    log: {
      debug: (message: unknown) => logger.debug(String(message)),
      warn: (message: unknown) => logger.warn(String(message)),
      error: (message: unknown) => logger.error(String(message)),
      deprecate: (message: unknown) => logger.debug(String(message)),
    },
  });
  db.on("query-error", (error: unknown, query: { readonly __knexUid?: string }) => {
    discardIfSilent(error, open.get(query.__knexUid ?? ""));
  });
  return db;
}

/** After a client-side time-out the answer may still come, to somebody else's question: such a connection is closed. */
export function discardIfSilent(error: unknown, client: pg.Client | undefined): void {
  if (error instanceof Error && error.message === "Query read timeout") client?.connection.stream.destroy();
}

function knexUid(client: pg.Client): string {
  const uid: unknown = Reflect.get(client, "__knexUid");
  return typeof uid === "string" ? uid : "";
}
