/** The same drain with 1, 2 and 4 orchestrators on one PostgreSQL; agents are spread over them. */
import { type Bench, progress } from "./support/bench.ts";
import { drainOnce } from "./drain.ts";
import { startPostgres, stopAll } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const TARGET = 0.7;

export const replicas: Bench = async (options) => {
  const { quick } = options;
  const runs = options.runs ?? (quick ? 1 : 3);
  const tasks = quick ? 2_000 : 20_000;
  const counts = quick ? [1, 4] : [1, 2, 4];
  const found = new Map<number, number[]>(counts.map((count) => [count, []]));
  for (let run = 0; run < runs; run += 1) {
    for (const count of counts) {
      const { perSecond } = await drainOnce(await startPostgres(), { tasks, orchestrators: count });
      found.get(count)?.push(perSecond);
      progress(`${count} orchestrators: ${Math.round(perSecond)} tasks/s`);
      await stopAll();
    }
  }
  const of = (count: number): number => Math.round(median(found.get(count) ?? []));
  const [value, limit] = [of(4), of(1)];
  return {
    bench: "replicas",
    ratio: rounded(value / limit),
    value,
    limit,
    unit: "tasks per second drained by 4 orchestrators, against 1",
    target: `>= ${TARGET} of one orchestrator, every task succeeded`,
    reached: value >= TARGET * limit,
    tasks,
    tasks_per_second: Object.fromEntries(counts.map((count) => [count, of(count)])),
  };
};
