import { customTypes } from "@headroom/postgres";
import type pg from "pg";
import { prepareValue } from "pg/lib/utils.js";
import type { Answer } from "./real-sessions.ts";

const timeStatement = {
  name: "sim_time",
  text: `SELECT set_config('sim.transaction_s', $1, false), set_config('sim.statement_s', $2, false)`,
} as const;

/** Once for a connection. */
export async function prepareTime(client: pg.Client): Promise<void> {
  await client.query({ ...timeStatement, values: ["0", "0"] });
}

interface Field {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

/** What a connection knows of its prepared statements: their fields, by name. */
export type PreparedFields = Map<string, readonly Field[]>;

/** What this uses of `pg`'s connection, whose types leave most of it out. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  parse(statement: { readonly name: string; readonly text: string; readonly types: readonly number[] }): void;
  close(what: { readonly type: "S"; readonly name: string }): void;
  bind(portal: {
    readonly statement: string;
    readonly values: readonly unknown[];
    readonly valueMapper: (value: unknown) => unknown;
  }): void;
  describe(what: { readonly type: "P"; readonly name: string }): void;
  execute(portal: object): void;
  sync(): void;
}

/**
 * A prepared statement before which the session is told the time, in the same round trip; its fields are asked for only once. Round trips and
 * their messages are half of what a world costs. `pg` submits it, and calls the rest.
 */
class TimedQuery {
  readonly #statement: { readonly name: string; readonly text: string };
  readonly #values: readonly unknown[];
  readonly #times: readonly string[];
  readonly #prepared: PreparedFields;
  readonly #settle: (error: Error | null, answer: Answer) => void;
  readonly #rows: Record<string, unknown>[] = [];
  #fields: readonly Field[] | undefined;
  #knowsTime = false;
  #rowCount = 0;

  constructor(
    statement: { readonly name: string; readonly text: string },
    values: readonly unknown[],
    times: readonly string[],
    prepared: PreparedFields,
    settle: (error: Error | null, answer: Answer) => void,
  ) {
    this.#statement = statement;
    this.#values = values;
    this.#times = times;
    this.#prepared = prepared;
    this.#settle = settle;
    this.#fields = prepared.get(statement.name);
  }

  submit(connection: unknown): void {
    // pg's own connection; see `Wire`.
    const wire = connection as Wire;
    const { name, text } = this.#statement;
    wire.stream.cork();
    if (this.#fields === undefined) {
      // It may have been parsed and then refused its values.
      wire.close({ type: "S", name });
      wire.parse({ name, text, types: [] });
    }
    wire.bind({ statement: timeStatement.name, values: this.#times, valueMapper: prepareValue });
    wire.execute({});
    wire.bind({ statement: name, values: this.#values, valueMapper: prepareValue });
    if (this.#fields === undefined) wire.describe({ type: "P", name: "" });
    wire.execute({});
    wire.sync();
    wire.stream.uncork();
  }

  handleRowDescription({ fields }: { readonly fields: readonly { name: string; dataTypeID: number }[] }): void {
    this.#fields = fields.map(({ name, dataTypeID }) => ({ name, parse: customTypes.getTypeParser(dataTypeID) }));
  }

  handleDataRow({ fields: texts }: { readonly fields: readonly (string | null)[] }): void {
    if (!this.#knowsTime) return;
    const row: Record<string, unknown> = {};
    for (const [index, { name, parse }] of this.#fields!.entries()) {
      const text = texts[index] ?? null;
      row[name] = text === null ? null : parse(text);
    }
    this.#rows.push(row);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    if (this.#knowsTime) this.#rowCount = Number(/\d+$/.exec(text)?.[0] ?? 0);
    this.#knowsTime = true;
  }

  handleReadyForQuery(): void {
    // A statement without fields is answered with no description.
    this.#prepared.set(this.#statement.name, this.#fields ?? []);
    this.#settle(null, { rows: this.#rows, rowCount: this.#rowCount });
  }

  handleError(error: Error): void {
    this.#settle(error, { rows: [], rowCount: 0 });
  }
}

/** `transactionMs`, `statementMs`: what `now()` and `clock_timestamp()` are, epoch milliseconds. */
export function runTimed(
  client: pg.Client,
  prepared: PreparedFields,
  statement: { readonly name: string; readonly text: string },
  values: readonly unknown[],
  transactionMs: number,
  statementMs: number,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const times = [String(transactionMs / 1_000), String(statementMs / 1_000)];
    client.query(
      new TimedQuery(statement, values, times, prepared, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(error);
      }),
    );
  });
}
