/**
 * What went wrong, in the words a caller acts on:
 * - `unavailable`: no server, or a lost or refused connection; try again later (gRPC UNAVAILABLE). A commit may or may not have happened.
 * - `conflict`: another row or session is in the way (a lock not to be had in time, a foreign key, an exclusion).
 * - `unique_violation`: such a row exists already.
 * - `serialization`: a serialization failure or a deadlock; the transaction can be run again.
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
  ["57P01", "unavailable"], // terminated by an administrator
  ["57P02", "unavailable"], // crash of another backend
  ["57P03", "unavailable"], // starting up, shutting down, in recovery
  ["25006", "unavailable"], // read-only: we talk to a standby, for instance just after a failover
]);

/** Classes of SQLSTATE: 08 connection exceptions; 53 too many connections, out of memory. */
const unavailableClasses: ReadonlySet<string> = new Set(["08", "53"]);

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

function classify(error: unknown, depth: number): DatabaseErrorClass {
  if (!(error instanceof Error) || depth > maxCauseDepth) return { kind: "other" };
  const own = classifyOwn(error);
  if (own.kind !== "other") return own;
  // A connection tried on several addresses fails with all their errors.
  const inner = error instanceof AggregateError ? [...error.errors, error.cause] : [error.cause];
  for (const cause of inner) {
    const found = classify(cause, depth + 1);
    if (found.kind !== "other") return found;
  }
  return own;
}

function classifyOwn(error: Error): DatabaseErrorClass {
  const code = textField(error, "code");
  if (code === "23505") return { kind: "unique_violation", constraint: textField(error, "constraint") };
  if (code === "ENOSPC") return { kind: "disk_full" };
  const known = bySqlState.get(code);
  if (known !== undefined) return { kind: known };
  if (unavailableSystemCodes.has(code)) return { kind: "unavailable" };
  if (code.length === 5 && unavailableClasses.has(code.slice(0, 2))) return { kind: "unavailable" };
  if (unavailableMessages.some((start) => error.message.includes(start))) return { kind: "unavailable" };
  return { kind: "other" };
}

function textField(error: Error, name: "code" | "constraint"): string {
  const value: unknown = Reflect.get(error, name);
  return typeof value === "string" ? value : "";
}
