/** The database's clock is set while commands run: nothing runs twice, and nothing is lost. */
import { join } from "node:path";
import type { EmbeddedPostgres } from "@headroom/postgres";
import { sharedProgramsDir, type TempDir } from "@headroom/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRealSessions, type RealSessions } from "./database/real-sessions.ts";
import { makeSimulationDir, startSimulationServer } from "./server.ts";
import { findDoubleExecutions } from "./world/read-world.ts";
import { type Configs, simConfigs } from "./world/services.ts";
import { createWorld } from "./world/world.ts";

const hourMs = 3_600_000;
/** Worlds with one and with several registries and orchestrators. */
const seeds = [20_000_001, 20_000_002, 20_000_003, 20_000_004, 20_000_005, 20_000_006];

describe("a database whose clock is set while commands run", () => {
  let dir: TempDir;
  let server: EmbeddedPostgres;
  let real: RealSessions;
  let configs: Configs;
  beforeAll(async () => {
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

  it.each([
    ["an hour ahead", hourMs],
    ["an hour back", -hourMs],
    ["ten minutes ahead", hourMs / 6],
  ])("%s", { timeout: 300_000 }, async (_, byMs) => {
    for (const seed of seeds) {
      await real.reset(seed);
      const world = createWorld(seed, real, configs);
      const { engine, planner, postgres } = world;
      for (const node of [...world.registries, ...world.orchestrators, ...world.agents])
        engine.schedule(engine.random.next() * 2_000, null, `${node.name} is switched on`, () => node.start());
      await engine.run(10_000);
      for (let plan = 0; plan < 3; plan += 1) planner.probe({ durationsMs: [60_000, 120_000], isSmall: true });
      await engine.run(20_000);
      const running = world.machines.reduce((sum, machine) => sum + machine.running, 0);
      expect(running, `seed ${seed}`).toBeGreaterThan(0);
      postgres.clockOffsetMs += byMs;
      await engine.run(600_000);
      const runs = world.machines.flatMap(({ executions }) => executions.map(({ taskId }) => taskId));
      const left = await real.sql(
        `SELECT name, state FROM orchestrator.tasks WHERE state <> 'succeeded'
         UNION ALL SELECT attempt_id::text, state FROM registry.reservations WHERE state <> 'released'
         UNION ALL SELECT task_id::text, state FROM orchestrator.attempts WHERE state <> 'succeeded'`,
      );
      expect({ seed, left, double: findDoubleExecutions(world), again: runs.length - new Set(runs).size }).toEqual({
        seed,
        left: [],
        double: [],
        again: 0,
      });
    }
  });
});
