/** The whole of Headroom in processes of its own: registry, orchestrators, agents; and plans for them. */
import { wire } from "@headroom/contracts";
import { defineStatement } from "@headroom/postgres";
import { createChannel, createClient, type RpcClient } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "./bench.ts";
import { type Program, startProgram } from "./programs.ts";
import { type BenchDatabase, endGracefully, onEnd, type Server, startRegistry, TOKEN } from "./servers.ts";
import type { ServerStats } from "./server-stats.ts";

export type PlanClient = RpcClient<typeof wire.PlanServiceService>;

export interface Stage {
  readonly registry: Server;
  readonly orchestrators: readonly Server[];
  readonly plans: PlanClient;
}

/** As production runs them: their own bundles, their logs in files, their defaults. */
export async function startStage(postgres: BenchDatabase, orchestrators = 1): Promise<Stage> {
  const registry = await startRegistry(postgres.url);
  const started: Server[] = [];
  for (let each = 0; each < orchestrators; each += 1) started.push(await startOrchestrator(postgres, registry));
  const [first] = started;
  if (first === undefined) throw new RangeError("at least one orchestrator");
  const channel = createChannel({
    address: first.address,
    ports: systemPorts,
    logger: silentLogger,
    token: TOKEN,
  });
  onEnd(() => Promise.resolve(channel.close()));
  return { registry, orchestrators: started, plans: createClient(wire.PlanServiceService, channel) };
}

async function startOrchestrator(postgres: BenchDatabase, registry: Server): Promise<Server> {
  const dataDir = await mkdtemp(join(tmpdir(), "headroom-bench-orchestrator-"));
  onEnd(() => rm(dataDir, { recursive: true, force: true }));
  const program = await startProgram("orchestrator-main", {
    env: {
      DATABASE_URL: postgres.url,
      HEADROOM_DATA_DIR: dataDir,
      HEADROOM_TOKEN: TOKEN,
      HEADROOM_REGISTRY_ADDR: registry.address,
      HEADROOM_ORCHESTRATOR_GRPC_ADDR: "127.0.0.1:0",
      HEADROOM_ORCHESTRATOR_HTTP_ADDR: "127.0.0.1:0",
    },
  });
  onEnd(() => endGracefully(program));
  const address = await program.call<string>("listen");
  return { program, address, stats: () => program.call<ServerStats>("stats") };
}

export interface Workers {
  readonly program: Program;
  takeLatencies(): Promise<readonly number[]>;
  assignments(): Promise<number>;
}

/** Agents with real journals whose tasks do nothing. Resolves when their programs run; they attach a moment later. */
export async function startWorkers(
  stage: Stage,
  plan: { readonly agents: number; readonly cores: number; readonly holdMs: number },
): Promise<Workers> {
  const dir = await mkdtemp(join(tmpdir(), "headroom-bench-workers-"));
  onEnd(() => rm(dir, { recursive: true, force: true }));
  const program = await startProgram("workers-main");
  onEnd(() => endGracefully(program));
  await program.call("start", {
    ...plan,
    dir,
    token: TOKEN,
    registry: stage.registry.address,
    orchestrators: stage.orchestrators.map(({ address }) => address),
  });
  return {
    program,
    takeLatencies: () => program.call("takeLatencies"),
    assignments: () => program.call("assignments"),
  };
}

/** A plan of tasks that do nothing, and are alike, or need 1, 2, ... `shapes` MiB by turns. */
export function noopPlan(tasks: number, shapes = 1): wire.DispatchPlanRequest {
  return wire.DispatchPlanRequest.fromPartial({
    plan: {
      name: "bench",
      tasks: Array.from({ length: tasks }, (_, each) => ({
        name: `task-${each}`,
        command: { argv: ["true"] },
        needs: { cpuCores: 1, ...(shapes > 1 && { memoryGb: (1 + (each % shapes)) / 1_024 }) },
      })),
    },
  });
}

/** Dispatches so many tasks in plans of at most 1,000, some at once. */
export async function dispatchTasks(plans: PlanClient, tasks: number, shapes = 1): Promise<void> {
  let left = tasks;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      const size = Math.min(1_000, left);
      left -= size;
      await plans.dispatchPlan(noopPlan(size, shapes), { deadlineMs: 60_000 });
    }
  };
  await Promise.all([lane(), lane()]);
}

const unfinished = defineStatement<{ readonly plans: number }>({
  name: "bench_unfinished_plans",
  text: `SELECT count(*) AS plans FROM orchestrator.plans WHERE finished_at IS NULL`,
});

/** Resolves when every plan has ended; rejects when that takes longer than `limitMs`. */
export async function untilAllFinished({ db }: BenchDatabase, limitMs: number): Promise<void> {
  const endAt = performance.now() + limitMs;
  for (;;) {
    const [row] = await db.query(unfinished, []);
    if (row?.plans === 0) return;
    if (performance.now() > endAt) throw new Error(`${row?.plans} plans have not ended in ${limitMs} ms`);
    await pause(20);
  }
}

const succeeded = defineStatement<{ readonly tasks: number }>({
  name: "bench_succeeded_tasks",
  text: `SELECT count(*) AS tasks FROM orchestrator.tasks WHERE state = 'succeeded'`,
});

export async function countSucceeded({ db }: BenchDatabase): Promise<number> {
  const [row] = await db.query(succeeded, []);
  return row?.tasks ?? 0;
}

const commit = defineStatement({
  name: "bench_one_commit",
  text: `UPDATE orchestrator.bench_commit SET n = n + 1`,
});

/** How long commits of this PostgreSQL take, one after the other, ms. */
export async function commitTimes({ db }: BenchDatabase, count: number): Promise<readonly number[]> {
  await db.knex.raw("CREATE TABLE IF NOT EXISTS orchestrator.bench_commit AS SELECT 0 AS n");
  const timesMs: number[] = [];
  for (let each = 0; each < count; each += 1) {
    const startedAt = performance.now();
    await db.query(commit, []);
    timesMs.push(performance.now() - startedAt);
  }
  return timesMs;
}
