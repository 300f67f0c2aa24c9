/**
 * Paused no-op tasks that go the whole way (claimed, reserved, assigned, delivered over gRPC, journalled by their agent
 * with fsync, completed, durable, with their history) against a claim-and-complete loop in raw SQL. Peers stand beside.
 */
import { type Bench, progress } from "./support/bench.ts";
import {
  countSucceeded,
  dispatchTasks,
  type Stage,
  startStage,
  startWorkers,
  untilAllFinished,
} from "./support/orchestrators.ts";
import { startProgram } from "./support/programs.ts";
import type { ServerStats } from "./support/server-stats.ts";
import { type BenchDatabase, type Server, startPostgres, stopAll } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const TARGET = 0.1;
const AIM_PER_SECOND = 5_000;
const RAW_LANES = 2;
const DRAIN_LIMIT_MS = 240_000;

export interface Drained {
  readonly perSecond: number;
  /** CPU that a task costs each part, from the start of the agents to the end of the last task, ms. */
  readonly cpuMsPerTask: Readonly<Record<string, number>>;
}

export interface DrainOptions {
  readonly tasks: number;
  /** Default: 1. */
  readonly orchestrators?: number;
  /** Kinds of needs that the tasks have by turns. Default: 1. */
  readonly shapes?: number;
  /** Of each of the four agents. Default: 256. */
  readonly cores?: number;
}

/** One drain on a database of its own. The agents start when everything waits. */
export async function drainOnce(
  postgres: BenchDatabase,
  { tasks, orchestrators = 1, shapes = 1, cores = 256 }: DrainOptions,
): Promise<Drained> {
  const stage = await startStage(postgres, orchestrators);
  await dispatchTasks(stage.plans, tasks, shapes);
  progress(`${tasks} tasks wait`);
  const before = await cpuSeconds(stage, postgres);
  const workers = await startWorkers(stage, { agents: 4, cores, holdMs: 0 });
  const startedAt = performance.now();
  const agentsBefore = await cpuOf(workers);
  await untilAllFinished(postgres, DRAIN_LIMIT_MS);
  const tookMs = performance.now() - startedAt;
  const after = { ...(await cpuSeconds(stage, postgres)), agents: (await cpuOf(workers)) - agentsBefore };
  const done = await countSucceeded(postgres);
  if (done !== tasks) throw new Error(`${done} of ${tasks} tasks have succeeded`);
  const cpuMsPerTask = Object.fromEntries(
    Object.entries(after).map(([part, seconds]) => [part, rounded(((seconds - (before[part] ?? 0)) * 1_000) / tasks)]),
  );
  return { perSecond: (tasks * 1_000) / tookMs, cpuMsPerTask };
}

async function cpuSeconds(stage: Stage, postgres: BenchDatabase): Promise<Readonly<Record<string, number>>> {
  const ofOrchestrators = await Promise.all(stage.orchestrators.map(cpuOf));
  const ofPostgres = await postgres.cpuSeconds();
  return {
    registry: await cpuOf(stage.registry),
    orchestrators: ofOrchestrators.reduce((sum, each) => sum + each, 0),
    ...(ofPostgres !== null && { postgres: ofPostgres }),
  };
}

async function cpuOf({ program }: Pick<Server, "program">): Promise<number> {
  return (await program.call<ServerStats>("stats")).cpuUs / 1e6;
}

export const drain: Bench = async (options) => {
  const { quick } = options;
  const runs = options.runs ?? (quick ? 1 : 5);
  const tasks = quick ? 4_000 : 20_000;
  const found = { raw: [] as number[], headroom: [] as number[], graphile: [] as number[], pgBoss: [] as number[] };
  let cpuMsPerTask: Drained["cpuMsPerTask"] = {};
  for (let run = 0; run < runs; run += 1) {
    const postgres = await startPostgres();
    const raw = await startProgram("raw-queue-main");
    await raw.call("prepare", postgres.url);
    found.raw.push(await raw.call<number>("drain", { jobs: tasks, lanes: RAW_LANES }));
    await raw.kill();
    const drained = await drainOnce(postgres, { tasks });
    found.headroom.push(drained.perSecond);
    ({ cpuMsPerTask } = drained);
    const peers = await startProgram("peers-main");
    found.graphile.push(await peers.call<number>("graphileWorker", { url: postgres.url, jobs: tasks }));
    found.pgBoss.push(await peers.call<number>("pgBoss", { url: postgres.url, jobs: tasks }));
    await peers.kill();
    progress(
      Object.entries(found)
        .map(([name, rates]) => `${name} ${Math.round(rates.at(-1) ?? 0)}/s`)
        .join(", "),
    );
    await stopAll();
  }
  const of = (name: keyof typeof found): number => Math.round(median(found[name]));
  return {
    bench: "drain",
    ratio: rounded(of("headroom") / of("raw")),
    value: of("headroom"),
    limit: of("raw"),
    unit: "tasks per second",
    target: `>= ${TARGET} of a claim-and-complete loop in raw SQL; ${AIM_PER_SECOND} tasks/s is the aim`,
    reached: of("headroom") >= TARGET * of("raw"),
    tasks,
    graphile_worker_jobs_per_second: of("graphile"),
    pg_boss_jobs_per_second: of("pgBoss"),
    cpu_ms_per_task: cpuMsPerTask,
  };
};
