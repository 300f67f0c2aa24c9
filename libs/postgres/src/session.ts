import type pg from "pg";

/** What a pooled session may take. 0 means no limit. */
export interface SessionLimits {
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
}

const prepareSessionSql = `
  SELECT set_config('search_path', $1, false),
         set_config('timezone', 'UTC', false),
         set_config('statement_timeout', $2, false),
         set_config('lock_timeout', $3, false),
         set_config('idle_in_transaction_session_timeout', $4, false),
         set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
         current_setting('transaction_read_only') = 'on' AS is_read_only`;

/**
 * The server takes no writes: a standby, to which a proxy or a name still leads after a failover. With PostgreSQL's own code for it, so
 * that it is classified as what a standby says to a write.
 */
export class ReadOnlyServerError extends Error {
  override readonly name = "ReadOnlyServerError";
  readonly code = "25006";
  constructor() {
    super(
      "this server takes no writes (a standby, or default_transaction_read_only is on); DATABASE_URL must lead to the primary",
    );
  }
}

/**
 * Fixes a new session to one schema and gives it its limits, and commits that are kept where the role or the database has them lost with a crash (what is
 * acknowledged must be there; who waits for which standby stays the administrator's word): one round trip per connection. Plain SQL rather than
 * start-up options, because connection poolers refuse those. Throws ReadOnlyServerError: a session that was let in there would go on
 * answering from the past, and refusing every write, for as long as it is in use.
 */
export async function prepareSession(client: pg.ClientBase, schema: string, limits: SessionLimits): Promise<void> {
  const { rows } = await client.query<{ is_read_only: boolean }>(prepareSessionSql, [
    quoteIdentifier(schema),
    String(limits.statementTimeoutMs),
    String(limits.lockTimeoutMs),
    String(limits.idleInTransactionTimeoutMs),
  ]);
  if (rows[0]?.is_read_only === true) throw new ReadOnlyServerError();
}

/** An identifier as SQL writes it. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
