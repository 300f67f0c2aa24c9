/** Room appears for one task at a time, and tasks of hundreds of shapes want it: the same drain as with tasks that are all alike. */
import { type Bench, progress } from "./support/bench.ts";
import { drainOnce } from "./drain.ts";
import { startPostgres, stopAll } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const TARGET = 0.5;
/** Of each of the four agents: few tasks run at a time, so that each end is room for one or two. */
const CORES = 4;

export const shapes: Bench = async (options) => {
  const { quick } = options;
  const runs = options.runs ?? (quick ? 1 : 3);
  const tasks = quick ? 1_000 : 5_000;
  const many = quick ? 200 : 1_000;
  const found = new Map<number, number[]>([
    [1, []],
    [many, []],
  ]);
  const cpuMsPerTask: Record<string, unknown> = {};
  for (let run = 0; run < runs; run += 1) {
    for (const [count, rates] of found) {
      const drained = await drainOnce(await startPostgres(), { tasks, shapes: count, cores: CORES });
      rates.push(drained.perSecond);
      cpuMsPerTask[`of ${count}`] = drained.cpuMsPerTask;
      progress(`${count} shapes: ${Math.round(drained.perSecond)} tasks/s`);
      await stopAll();
    }
  }
  const of = (count: number): number => Math.round(median(found.get(count) ?? []));
  const [value, limit] = [of(many), of(1)];
  return {
    bench: "shapes",
    ratio: rounded(value / limit),
    value,
    limit,
    unit: `tasks per second drained by 16 cores when ${many} shapes wait, against one`,
    target: `>= ${TARGET} of one shape, every task succeeded`,
    reached: value >= TARGET * limit,
    tasks,
    cpu_ms_per_task: cpuMsPerTask,
  };
};
