import { constants, setPriority } from "node:os";
import { join } from "node:path";
import type { EmbeddedPostgres } from "@headroom/postgres";
import { sharedProgramsDir, type TempDir } from "@headroom/testing";
import { afterAll, beforeAll } from "vitest";
import { openRealSessions, type RealSessions } from "./database/real-sessions.ts";
import { makeSimulationDir, startSimulationServer } from "./server.ts";
import { type Configs, simConfigs } from "./world/services.ts";

/** What the worlds of a test file live on; there once its tests run. */
export interface Ground {
  readonly real: RealSessions;
  readonly configs: Configs;
}

/** For the tests of the file, or of the `describe` that calls it: a PostgreSQL of their own. */
export function groundForWorlds(): Ground {
  let dir: TempDir;
  let server: EmbeddedPostgres;
  let real: RealSessions;
  let configs: Configs;
  beforeAll(async () => {
    // Virtual time does not mind waiting; the tests beside these live in real time. The server inherits it.
    setPriority(constants.priority.PRIORITY_LOW);
    dir = await makeSimulationDir();
    server = await startSimulationServer(join(dir.path, "data"), sharedProgramsDir);
    real = await openRealSessions(server.connectionString);
    configs = await simConfigs();
  });
  afterAll(async () => {
    await real?.close();
    await server?.stop();
    await dir?.remove();
  });
  return {
    get real() {
      return real;
    },
    get configs() {
      return configs;
    },
  };
}
