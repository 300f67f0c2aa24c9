import { type DatabaseMetrics, type PostgresServer, postgresAt } from "@headroom/postgres";
import { createMetrics, silentLogger } from "@headroom/runtime";
import { manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { openPostgresStore } from "./open-store.ts";

it("each statement that succeeds says that the database answers; of one that fails only a look may say the contrary", async () => {
  const nowhere = postgresAt("postgres://127.0.0.1:1/none");
  let counts: DatabaseMetrics | undefined;
  const postgres: PostgresServer = {
    ...nowhere,
    database(options) {
      counts = options.metrics;
      return nowhere.database(options);
    },
  };
  let answers = 0;
  const opened = openPostgresStore({
    postgres,
    maxConnections: 1,
    ports: manualPorts(),
    logger: silentLogger,
    metrics: createMetrics({ processMetrics: false }),
    watch: { answered: () => (answers += 1) },
    onReconnect: () => undefined,
  });
  counts?.statementFinished("one", 1, "unavailable");
  counts?.statementFinished("one", 1, "other");
  expect(answers).toBe(0);
  counts?.statementFinished("one", 1, "ok");
  expect(answers).toBe(1);
  await opened.close();
});
