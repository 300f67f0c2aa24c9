/** The database's clock is set while commands run: nothing runs twice, and nothing is lost. */
import { describe, expect, it } from "vitest";
import { findDoubleExecutions } from "./world/read-world.ts";
import { createWorld } from "./world/world.ts";
import { groundForWorlds } from "./worlds.test-helper.ts";

const hourMs = 3_600_000;
/** Worlds with one and with several registries and orchestrators. */
const seeds = [20_000_001, 20_000_002, 20_000_003, 20_000_004];

describe("V8: a database whose clock is set while commands run ends and repeats nothing", () => {
  const ground = groundForWorlds();

  it.each([
    ["an hour ahead", hourMs],
    ["an hour back", -hourMs],
  ])("%s", { timeout: 300_000 }, async (_, byMs) => {
    const { real, configs } = ground;
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
      await engine.run(240_000);
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
