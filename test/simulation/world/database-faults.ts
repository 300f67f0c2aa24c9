import { between, type Fault } from "./fault.ts";

export const databaseDown: Fault = (world, random) => {
  const forMs = between(random, 200, 30_000);
  world.postgres.goDown();
  world.engine.schedule(forMs, null, "the database is back", () => world.postgres.comeBack());
  return `for ${Math.round(forMs)} ms`;
};

export const databaseSlow: Fault = (world, random) => {
  const forMs = between(random, 1_000, 20_000);
  const { delayMs } = world.postgres.weather;
  Object.assign(delayMs, { min: 50, max: 1_500 });
  world.engine.schedule(forMs, null, "the database is quick again", () => {
    Object.assign(delayMs, { min: 0.2, max: 2 });
  });
  return `for ${Math.round(forMs)} ms`;
};
