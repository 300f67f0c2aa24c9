import { createPostgresStore, orchestratorMigrations, orchestratorSchema } from "@headroom/orchestrator";
import { createDatabase, migrate } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase } from "@headroom/testing";
import { describe } from "vitest";
import { orchestratorStoreConformance } from "./orchestrator-store.ts";

const hold = { timers: systemPorts.timers, atMostMs: 10 };

describe.each([
  ["every report written at once", {}],
  ["reports held back for a moment", { hold }],
])("OrchestratorStore on PostgreSQL, %s", (_, options) => {
  orchestratorStoreConformance(async () => {
    const database = await createTestDatabase({ label: "orch_store" });
    const { connectionString: connection } = database;
    const common = { logger: silentLogger, ports: systemPorts, schema: orchestratorSchema };
    await migrate({ connection, migrations: orchestratorMigrations, ...common });
    const pool = createDatabase({ connection, applicationName: "conformance", ...common });
    return {
      store: createPostgresStore(pool, options),
      async clear() {
        await pool.knex.raw(
          "TRUNCATE room_holds, plans, tasks, task_dependencies, attempts, pause_queue, events, task_output, queue_hold, queue_events, retry_requests, task_durations",
        );
      },
      async close() {
        await pool.close();
        await database.drop();
      },
    };
  });
});
