/** PostgreSQL cuts identifiers at 63 bytes; two longer names could meet. */
const maxStatementNameBytes = 63;

/**
 * A hot statement: SQL with `$1`-style parameters, prepared once per connection under its name.
 * `Row` is what one row holds; it is a promise of the author, so list the columns in the SQL.
 */
export interface Statement<Row extends object> {
  readonly name: string;
  readonly text: string;
  /** Carries the row type only; never set. */
  readonly row?: Row;
}

/**
 * Defines a hot statement. Give the row type: `defineStatement<AgentRow>({ name: "agents_get", text: "SELECT …" })`.
 * Names are unique within a program. Throws if the name is empty or longer than 63 bytes.
 */
export function defineStatement<Row extends object = Record<string, never>>(definition: {
  readonly name: string;
  readonly text: string;
}): Statement<Row> {
  const bytes = Buffer.byteLength(definition.name);
  if (bytes === 0 || bytes > maxStatementNameBytes) {
    throw new Error(`statement name "${definition.name}" has ${bytes} bytes; it needs 1 to ${maxStatementNameBytes}`);
  }
  return { name: definition.name, text: definition.text.trim() };
}
