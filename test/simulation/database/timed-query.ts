import { customTypes } from "@headroom/postgres";
import pg from "pg";
import type { Answer } from "./real-sessions.ts";

const timeStatement = {
  name: "sim_time",
  text: `SELECT set_config('sim.transaction_s', $1, false), set_config('sim.statement_s', $2, false)`,
} as const;

/** Once for a connection. */
export async function prepareTime(client: pg.Client): Promise<void> {
  await client.query({ ...timeStatement, values: ["0", "0"] });
}

type Callback = (error: Error | null, results: readonly pg.QueryResult[]) => void;

interface QueryConfig {
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
  readonly types: typeof customTypes;
  readonly callback: Callback;
}

/** A prepared statement before which the session is told the time, in the same round trip: half of what a run waits for is round trips. */
function timedQuery(config: QueryConfig, times: readonly string[]): pg.Query {
  // `pg` reads the callback from the configuration, and gives it all results, the time's among them; its types know of neither.
  const query = new pg.Query(config as unknown as pg.QueryConfig);
  const submit = query.submit.bind(query);
  query.submit = (connection) => {
    connection.stream.cork();
    connection.bind({ statement: timeStatement.name, values: [...times] }, true);
    connection.describe({ type: "P" }, true);
    connection.execute({}, true);
    submit(connection);
    connection.stream.uncork();
  };
  return query;
}

/** `transactionMs`, `statementMs`: what `now()` and `clock_timestamp()` are, epoch milliseconds. */
export function runTimed(
  client: pg.Client,
  statement: { readonly name: string; readonly text: string },
  values: readonly unknown[],
  transactionMs: number,
  statementMs: number,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const times = [String(transactionMs / 1_000), String(statementMs / 1_000)];
    const callback: Callback = (error, results) => {
      if (error !== null) return reject(error);
      const last = results.at(-1);
      resolve({ rows: last?.rows ?? [], rowCount: last?.rowCount ?? 0 });
    };
    client.query(timedQuery({ ...statement, values, types: customTypes, callback }, times));
  });
}
