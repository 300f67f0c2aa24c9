import { createDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import type { RunSql } from "../../support/run-sql.ts";

/** Plain SQL on a server of the test's own: a connection for each statement, so that nothing is held open over its stops. */
export function sqlOn(connectionString: string): RunSql {
  return async <Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> => {
    const database = createDatabase({
      connection: connectionString,
      schema: "public",
      applicationName: "headroom-e2e",
      logger: silentLogger,
      ports: systemPorts,
      max: 1,
    });
    try {
      const result: { rows: Row[] } = await database.knex.raw(withQuestionMarks(text), orderedValues(text, values));
      return result.rows;
    } finally {
      await database.close();
    }
  };
}

const placeholder = /\$(\d+)/g;

/** knex's raw statements take "?", and each of them a value of its own. */
function withQuestionMarks(text: string): string {
  return text.replaceAll(placeholder, "?");
}

function orderedValues(text: string, values: readonly unknown[]): string[] {
  return [...text.matchAll(placeholder)].map(([, number]) => String(values[Number(number) - 1]));
}
