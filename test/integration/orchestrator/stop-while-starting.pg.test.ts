import { EventEmitter } from "node:events";
import { createOrchestrator } from "@headroom/orchestrator";
import { postgresAt } from "@headroom/postgres";
import { runUntilSignal, systemPorts } from "@headroom/runtime";
import {
  captureLogger,
  makeTempDir,
  type PrivatePostgres,
  startPrivatePostgres,
  type TempDir,
  waitFor,
} from "@headroom/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { configOf } from "./harness.ts";

let postgres: PrivatePostgres;
let dir: TempDir;

beforeAll(async () => {
  postgres = await startPrivatePostgres();
  dir = await makeTempDir("orch_stop_starting");
});
afterAll(async () => {
  await postgres.remove();
  await dir.remove();
});

it(
  "a signal ends a start whose database went away once its schema was there: with 0, and at once",
  { timeout: 60_000 },
  async () => {
    const logger = captureLogger();
    const server = postgresAt(postgres.connectionString);
    const orchestrator = createOrchestrator(
      configOf({ DATABASE_URL: postgres.connectionString, HEADROOM_DATA_DIR: dir.path }),
      {
        logger,
        postgres: {
          ...server,
          async prepare(options) {
            await server.prepare(options);
            await postgres.stop();
          },
        },
      },
    );
    const target = Object.assign(new EventEmitter(), { exit: () => undefined });
    const ended = runUntilSignal(orchestrator, { logger, ports: systemPorts, process: target });
    await waitFor(() => logger.has("whether the queue is held could not be read"), { describe: () => logger.text() });
    target.emit("SIGTERM");
    expect(await ended, logger.text()).toBe(0);
    expect(orchestrator.state()).toBe("stopped");
  },
);
