/** PostgreSQL cuts identifiers at 63 bytes; two longer names could meet. */
const maxStatementNameBytes = 63;

/**
 * A hot statement: SQL with `$1`-style parameters, prepared once per connection under its name.
 * `Row` is what one row holds; it is a promise of the author, so list the columns in the SQL.
 */
export interface Statement<Row extends object> {
  readonly name: string;
  readonly text: string;
  /**
   * How long its answer is waited for, in ms; without it as long as for any other (`statementTimeoutMs` and a grace). For what loops ask all the
   * time: when the answer does not come, the connections that have said nothing since the question are taken for dead, and replaced.
   */
  readonly answerWithinMs?: number;
  /** Carries the row type only; never set. */
  readonly row?: Row;
}

const defined = new Map<string, Statement<object>>();

/**
 * Defines a hot statement. Give the row type: `defineStatement<AgentRow>({ name: "agents_get", text: "SELECT …" })`.
 * Names are unique within a program. Throws if the name is empty or longer than 63 bytes, or stands for another text already: a
 * connection that has prepared the one would be asked for the other.
 */
export function defineStatement<Row extends object = Record<string, never>>(definition: {
  readonly name: string;
  readonly text: string;
  readonly answerWithinMs?: number;
}): Statement<Row> {
  const { name, answerWithinMs } = definition;
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > maxStatementNameBytes) {
    throw new Error(`statement name "${name}" has ${bytes} bytes; it needs 1 to ${maxStatementNameBytes}`);
  }
  const statement: Statement<Row> = {
    name,
    text: definition.text.trim(),
    ...(answerWithinMs !== undefined && { answerWithinMs }),
  };
  const earlier = defined.get(name);
  if (earlier !== undefined && earlier.text !== statement.text) {
    throw new Error(`two statements are named "${name}"; their names must differ`);
  }
  defined.set(name, statement);
  return statement;
}

/** Every statement that the modules loaded so far have defined: for tests that look at all of them. */
export function definedStatements(): readonly Statement<object>[] {
  return [...defined.values()];
}
