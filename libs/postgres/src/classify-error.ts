/**
 * What went wrong, in the words a caller acts on:
 * - `unavailable`: no server, a lost or refused connection, or a server that cannot work now; try again later (gRPC UNAVAILABLE). A commit may or
 *   may not have happened. Some of it has to be mended by somebody first, a password for instance: see `isRefusal`.
 * - `conflict`: another row or session is in the way (a lock not to be had in time, a foreign key, an exclusion).
 * - `unique_violation`: such a row exists already.
 * - `serialization`: a serialization failure, a deadlock or a plan made before the schema changed (`isStalePlan`); the transaction can be run again.
 * - `timeout`: the statement ran longer than it may.
 * - `disk_full`: the server cannot write.
 * - `other`: a bug, most likely.
 */
export type DatabaseErrorKind =
  | "unavailable"
  | "conflict"
  | "unique_violation"
  | "serialization"
  | "timeout"
  | "disk_full"
  | "other";

export type DatabaseErrorClass =
  | { readonly kind: Exclude<DatabaseErrorKind, "unique_violation"> }
  /** `constraint` is the name of the violated constraint or unique index; empty if the server named none. */
  | { readonly kind: "unique_violation"; readonly constraint: string };

const bySqlState: ReadonlyMap<string, Exclude<DatabaseErrorKind, "unique_violation">> = new Map([
  ["40001", "serialization"],
  ["40P01", "serialization"],
  ["55P03", "conflict"], // lock_timeout and NOWAIT
  ["23503", "conflict"], // foreign key
  ["23P01", "conflict"], // exclusion
  ["57014", "timeout"], // statement_timeout
  ["25P03", "timeout"], // idle_in_transaction_session_timeout
  ["25P04", "timeout"], // transaction_timeout, PostgreSQL 17
  ["53100", "disk_full"],
  ["25006", "unavailable"], // read-only: we talk to a standby, for instance just after a failover
  ["26000", "unavailable"], // a pooler gave us another session, which does not know our prepared statements
]);

/**
 * Classes of SQLSTATE: 08 connection exceptions; 28 not let in; 53 too many connections, out of memory; 57 an operator's or the server's own end of
 * sessions, starting up, in recovery; 58 a disk or a file of the server fails.
 */
const unavailableClasses: ReadonlySet<string> = new Set(["08", "28", "53", "57", "58"]);

const unavailableSystemCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ENOENT", // the Unix socket is not there: the server is down
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "ETIMEDOUT",
  "EMFILE", // no descriptor is left for a socket, in this process
  "ENFILE", // nor on this machine
  "EADDRNOTAVAIL", // no port is left on this side
]);

/** What TLS says of the server's certificate. Connections that are open go on. */
const refusedCertificates: ReadonlySet<string> = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** pg, knex and we give these without a code. */
const unavailableMessages: readonly string[] = [
  "Connection terminated",
  "Connection ended unexpectedly",
  "Client has encountered a connection error",
  "Client was closed",
  "Query read timeout",
  "timeout expired",
  "timeout exceeded when trying to connect",
  "Timeout acquiring a connection",
  "Unable to acquire a connection",
  "The database system is",
  "the database has not answered", // ours, of a server that says nothing
];

/** Errors wrap errors; deeper than this nobody does. */
const maxCauseDepth = 5;

/** Tells what an error thrown by pg, knex or this library means to the caller. Never throws. */
export function classifyError(error: unknown): DatabaseErrorClass {
  return classify(error, 0);
}

/**
 * Whether the server, asked again, says the same until somebody has mended something: the password, the right to connect, a certificate, the pooler's
 * mode, a lost file. Whoever starts says so and ends. Whoever runs already keeps what it has and tries again, as with all that is `unavailable`: this
 * may be mended while it waits.
 */
export function isRefusal(error: unknown): boolean {
  return hasCode(error, (code) => refusedCertificates.has(code) || refusals.has(code) || isOfClass(code, "28"), 0);
}

/** SQLSTATE: a prepared statement that is not there; a file of the server that is not there. */
const refusals: ReadonlySet<string> = new Set(["26000", "58P01"]);

/**
 * Whether the schema is another one than the statement was written for: not made yet, or made by a program of another version in the middle of an
 * update. The same statement succeeds once the schema, or the program, is what the other needs.
 */
export function isSchemaMismatch(error: unknown): boolean {
  return hasCode(error, (code) => mismatches.has(code), 0);
}

/**
 * SQLSTATE: what is not there of a schema. A function or an operator (42883) and a type (42704) are not among them: our schemas define next to none, and
 * never take one away, so it is our statement that is wrong, and no update mends it.
 */
const mismatches: ReadonlySet<string> = new Set([
  "3F000", // the schema itself
  "42P01", // a table or an index
  "42703", // a column
  "42P10", // the unique index that ON CONFLICT names
]);

/**
 * Whether it is the database that fails, and not what was asked of it: whatever is asked now fails alike, and asking for each alone would only say so
 * as often.
 */
export function isAboutDatabase(error: unknown): boolean {
  return classifyError(error).kind === "unavailable" || isSchemaMismatch(error);
}

/**
 * Whether the connection had prepared the statement before the schema changed, so that its rows would not be those that were announced. It did nothing,
 * fails for as long as it stays prepared, and succeeds on a connection that prepares it anew. The message is in the server's language, and SQLSTATE 0A000
 * is said of much else: it is known by the place where the server says it.
 */
export function isStalePlan(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return textField(error, "code") === "0A000" && textField(error, "routine") === "RevalidateCachedQuery";
}

/** Whether it is about the values that were given: SQLSTATE classes 22 (data) and 23 (constraints). The same statement succeeds with others. */
export function isAboutValues(error: unknown): boolean {
  return hasCode(error, (code) => isOfClass(code, "22") || isOfClass(code, "23"), 0);
}

function hasCode(error: unknown, isMeant: (code: string) => boolean, depth: number): boolean {
  if (!(error instanceof Error) || depth > maxCauseDepth) return false;
  return isMeant(textField(error, "code")) || causesOf(error).some((cause) => hasCode(cause, isMeant, depth + 1));
}

function classify(error: unknown, depth: number): DatabaseErrorClass {
  if (!(error instanceof Error) || depth > maxCauseDepth) return { kind: "other" };
  const own = classifyOwn(error);
  if (own.kind !== "other") return own;
  for (const cause of causesOf(error)) {
    const found = classify(cause, depth + 1);
    if (found.kind !== "other") return found;
  }
  return own;
}

/** A connection tried on several addresses fails with all their errors. */
function causesOf(error: Error): readonly unknown[] {
  return error instanceof AggregateError ? [...error.errors, error.cause] : [error.cause];
}

function classifyOwn(error: Error): DatabaseErrorClass {
  const code = textField(error, "code");
  if (code === "23505") return { kind: "unique_violation", constraint: textField(error, "constraint") };
  if (isStalePlan(error)) return { kind: "serialization" };
  if (code === "ENOSPC") return { kind: "disk_full" };
  const known = bySqlState.get(code);
  if (known !== undefined) return { kind: known };
  if (unavailableSystemCodes.has(code) || refusedCertificates.has(code)) return { kind: "unavailable" };
  if (isSqlState(code) && unavailableClasses.has(code.slice(0, 2))) return { kind: "unavailable" };
  if (unavailableMessages.some((start) => error.message.includes(start))) return { kind: "unavailable" };
  return { kind: "other" };
}

function isSqlState(code: string): boolean {
  return code.length === 5;
}

function isOfClass(code: string, sqlStateClass: string): boolean {
  return isSqlState(code) && code.startsWith(sqlStateClass);
}

function textField(error: Error, name: "code" | "constraint" | "routine"): string {
  const value: unknown = Reflect.get(error, name);
  return typeof value === "string" ? value : "";
}
