import { Socket } from "node:net";
import knex, { type Knex } from "knex";
import type pg from "pg";
import { type Logger, nextTurn } from "@headroom/runtime";
import { classifyError, isStalePlan } from "./classify-error.ts";
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

/** The clients of the pool that a client belongs to, by knex's name of them. */
const poolOf = new WeakMap<pg.Client, ReadonlyMap<string, pg.Client>>();

/** The clients of a pool, by knex's name of them. */
const clientsOf = new WeakMap<Knex, ReadonlyMap<string, pg.Client>>();

/** How long after its statement_timeout a server may stay silent before the connection counts as dead. */
const silenceGraceMs = 10_000;

/** What `pg` says when it stops waiting for an answer. */
const readTimeoutMessage = "Query read timeout";

/** SQLSTATE of a write that a standby refuses. */
const readOnlyServer = "25006";

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
        poolOf.set(client, open);
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
  clientsOf.set(db, open);
  db.on("query-error", (error: unknown, query: { readonly __knexUid?: string }) => {
    discardIfBroken(error, open.get(query.__knexUid ?? ""));
  });
  return db;
}

/**
 * Takes a connection that failed as one out of use at once. Its end is noticed a moment later, and until then the next caller
 * would get it; and after a client-side time-out the answer may still come, to somebody else's question.
 */
export function discardIfBroken(error: unknown, client: pg.Client | undefined): void {
  if (client === undefined) return;
  if (isStalePlan(error)) {
    // The others have prepared it before the change too. Each can still end its transaction.
    for (const one of poolOf.get(client)?.values() ?? [client]) markDisposed(one, error);
    return;
  }
  if (classifyError(error).kind !== "unavailable") return;
  if (error instanceof Error && Reflect.get(error, "severity") === "ERROR") {
    // What a living server refuses (ERROR, where FATAL ends the session) says nothing against the connection, unless the server is no
    // longer the primary: the way to that is a new connection. This one can still end its transaction.
    if (Reflect.get(error, "code") === readOnlyServer) markDisposed(client, error);
    return;
  }
  takeOut(client, error);
}

/** How much each connection of this one's pool has said so far, in bytes. */
export function heardFrom(client: pg.Client): ReadonlyMap<pg.Client, number> {
  const heard = new Map<pg.Client, number>();
  for (const one of poolOf.get(client)?.values() ?? []) heard.set(one, bytesRead(one));
  return heard;
}

/**
 * After a small question went unanswered: ends the connections that have said nothing since, idle ones and those in use. A way that leads nowhere any
 * more does so for all of them, and each would be waited for in its turn. Whoever waits on one is told `unavailable`.
 */
export async function discardIfSilent(error: unknown, heard: ReadonlyMap<pg.Client, number>): Promise<void> {
  if (!(error instanceof Error) || error.message !== readTimeoutMessage) return;
  // A process that stood still hears its timers first, and then what has come meanwhile.
  await nextTurn();
  for (const [client, bytes] of heard) {
    if (bytesRead(client) === bytes) takeOut(client, error);
  }
}

/**
 * Whether nothing is heard on any connection of the pool while `meanwhile` runs, and that says so too. An idle one is asked as well: those in use may
 * be silent because each waits for something that takes long.
 */
export async function isPoolSilent(db: Knex, withinMs: number, meanwhile: () => Promise<boolean>): Promise<boolean> {
  const before = [...(clientsOf.get(db)?.values() ?? [])].map((client) => ({ client, bytes: bytesRead(client) }));
  const source = clientSource(db);
  if (source.pool.numFree() > 0) void askIdle(source, withinMs);
  return (await meanwhile()) && before.every(({ client, bytes }) => bytesRead(client) === bytes);
}

/** Whoever asks hears the answer in the bytes that have come. Never rejects. */
async function askIdle(source: ClientSource, withinMs: number): Promise<void> {
  const client = await source.acquireConnection().catch(() => null);
  if (client === null) return;
  // pg's types leave the time-out of one query out.
  const question = { text: "SELECT 1", query_timeout: withinMs };
  try {
    await client.query(question);
  } catch (error) {
    discardIfBroken(error, client);
  }
  await source.releaseConnection(client).catch(() => undefined);
}

/** Takes all connections of the pool out of use, those that somebody waits on too. */
export function cutPool(db: Knex, error: Error): void {
  for (const client of clientsOf.get(db)?.values() ?? []) takeOut(client, error);
}

/** How much a connection has said so far. */
export function bytesRead(client: pg.Client): number {
  const { stream } = client.connection;
  return stream instanceof Socket ? stream.bytesRead : 0;
}

/** knex asks for this mark before it gives a connection out. */
function markDisposed(client: pg.Client, error: unknown): void {
  Reflect.set(client, "__knex__disposed", error);
}

function takeOut(client: pg.Client, error: unknown): void {
  markDisposed(client, error);
  client.connection.stream.destroy();
}

function knexUid(client: pg.Client): string {
  const uid: unknown = Reflect.get(client, "__knexUid");
  return typeof uid === "string" ? uid : "";
}
