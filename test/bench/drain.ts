/**
 * Paused no-op tasks that go the whole way (claimed, reserved, assigned, delivered over gRPC, journalled by their agent
 * with fsync, completed, durable, with their history) against a claim-and-complete loop in raw SQL. Peers stand beside.
 */
import { type Bench, progress } from "./support/bench.ts";
import { countSucceeded, dispatchTasks, startStage, startWorkers, untilAllFinished } from "./support/orchestrators.ts";
import { startProgram } from "./support/programs.ts";
import { type BenchDatabase, startPostgres, stopAll } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const TARGET = 0.1;
const AIM_PER_SECOND = 5_000;
const RAW_LANES = 2;
const DRAIN_LIMIT_MS = 240_000;

export interface Drained {
  readonly perSecond: number;
  readonly cpuSeconds: Readonly<Record<string, number>>;
}

/** One drain on a database of its own. The agents start when everything waits. */
export async function drainOnce(postgres: BenchDatabase, tasks: number, orchestrators: number): Promise<Drained> {
  const stage = await startStage(postgres, orchestrators);
  await dispatchTasks(stage.plans, tasks);
  progress(`${tasks} tasks wait`);
  const workers = await startWorkers(stage, { agents: 4, cores: 256, holdMs: 0 });
  const startedAt = performance.now();
  await untilAllFinished(postgres, DRAIN_LIMIT_MS);
  const tookMs = performance.now() - startedAt;
  const done = await countSucceeded(postgres);
  if (done !== tasks) throw new Error(`${done} of ${tasks} tasks have succeeded`);
  const all = { registry: stage.registry.program, workers: workers.program };
  const cpuSeconds: Record<string, number> = {};
  for (const [name, program] of Object.entries(all)) {
    cpuSeconds[name] = rounded((await program.call<{ cpuUs: number }>("stats")).cpuUs / 1e6);
  }
  for (const [each, server] of stage.orchestrators.entries()) {
    cpuSeconds[`orchestrator_${each + 1}`] = rounded((await server.stats()).cpuUs / 1e6);
  }
  return { perSecond: (tasks * 1_000) / tookMs, cpuSeconds };
}

export const drain: Bench = async ({ quick }) => {
  const runs = quick ? 1 : 5;
  const tasks = quick ? 4_000 : 20_000;
  const found = { raw: [] as number[], headroom: [] as number[], graphile: [] as number[], pgBoss: [] as number[] };
  let cpuSeconds: Drained["cpuSeconds"] = {};
  for (let run = 0; run < runs; run += 1) {
    const postgres = await startPostgres();
    const raw = await startProgram("raw-queue-main");
    await raw.call("prepare", postgres.url);
    found.raw.push(await raw.call<number>("drain", { jobs: tasks, lanes: RAW_LANES }));
    await raw.kill();
    const drained = await drainOnce(postgres, tasks, 1);
    found.headroom.push(drained.perSecond);
    ({ cpuSeconds } = drained);
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
    cpu_seconds: cpuSeconds,
  };
};
