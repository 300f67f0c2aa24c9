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
         set_config('idle_in_transaction_session_timeout', $4, false)`;

/**
 * Fixes a new session to one schema and gives it its limits: one round trip per connection. Plain SQL rather than
 * start-up options, because connection poolers refuse those.
 */
export async function prepareSession(client: pg.ClientBase, schema: string, limits: SessionLimits): Promise<void> {
  await client.query(prepareSessionSql, [
    quoteIdentifier(schema),
    String(limits.statementTimeoutMs),
    String(limits.lockTimeoutMs),
    String(limits.idleInTransactionTimeoutMs),
  ]);
}

/** An identifier as SQL writes it. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
