/**
 * DispatchPlan with one task and with a thousand, accepted and durable, against one raw INSERT transaction of the same rows.
 * The fleet is empty, so that nothing but the acceptance is measured: every task waits.
 */
import { type Bench, progress } from "./support/bench.ts";
import { noopPlan, type PlanClient, startStage } from "./support/orchestrators.ts";
import { startProgram } from "./support/programs.ts";
import { startPostgres } from "./support/servers.ts";
import { median, percentile, rounded } from "./support/stats.ts";

const TARGET = 0.4;
const LANES = 4;

interface Load {
  readonly tasks: number;
  readonly plans: number;
}

interface Rates {
  readonly plansPerSecond: number;
  /** CPU of one plan, ms. */
  readonly postgresCpuMs: number;
  readonly orchestratorCpuMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export const dispatch: Bench = async (options) => {
  const { quick } = options;
  const runs = options.runs ?? (quick ? 2 : 5);
  const loads: readonly Load[] = [
    { tasks: 1, plans: quick ? 200 : 2_000 },
    { tasks: 1_000, plans: quick ? 8 : 40 },
  ];
  const postgres = await startPostgres();
  const { plans, orchestrators } = await startStage(postgres);
  const cpu = async (): Promise<Cpu> => ({
    postgres: (await postgres.cpuSeconds()) ?? 0,
    orchestrator: sum(await Promise.all(orchestrators.map(async (server) => (await server.stats()).cpuUs / 1e6))),
  });
  const raw = await startProgram("raw-queue-main");
  await raw.call("prepare", postgres.url);
  const measured = [];
  for (const load of loads) {
    const { planId } = await plans.dispatchPlan(noopPlan(load.tasks), { deadlineMs: 60_000 });
    await raw.call("capture", planId);
    const found = { raw: [] as Rates[], headroom: [] as Rates[] };
    // The first turn of each warms both up.
    for (let run = 0; run <= runs; run += 1) {
      const rawRates = await timed(cpu, () =>
        raw.call<readonly number[]>("insert", { plans: load.plans, lanes: LANES }),
      );
      const ours = await timed(cpu, () => dispatchMany(plans, load));
      if (run === 0) continue;
      found.raw.push(rawRates);
      found.headroom.push(ours);
    }
    const of = (side: keyof typeof found, figure: keyof Rates): number =>
      rounded(median(found[side].map((rates) => rates[figure])));
    const at = {
      tasks_per_plan: load.tasks,
      ratio: rounded(of("headroom", "plansPerSecond") / of("raw", "plansPerSecond")),
      calls_per_second: of("headroom", "plansPerSecond"),
      tasks_per_second: rounded(of("headroom", "plansPerSecond") * load.tasks),
      p50_ms: of("headroom", "p50Ms"),
      p99_ms: of("headroom", "p99Ms"),
      raw_transactions_per_second: of("raw", "plansPerSecond"),
      raw_p50_ms: of("raw", "p50Ms"),
      cpu_ms_per_plan: { orchestrator: of("headroom", "orchestratorCpuMs"), postgres: of("headroom", "postgresCpuMs") },
      raw_postgres_cpu_ms_per_plan: of("raw", "postgresCpuMs"),
    };
    progress(JSON.stringify(at));
    measured.push(at);
  }
  const [worst] = measured.toSorted((a, b) => a.ratio - b.ratio);
  if (worst === undefined) throw new RangeError("nothing was measured");
  return {
    bench: "dispatch",
    ratio: worst.ratio,
    value: worst.calls_per_second,
    limit: worst.raw_transactions_per_second,
    unit: `DispatchPlan calls per second, ${worst.tasks_per_plan} tasks each`,
    target: `>= ${TARGET} of a raw INSERT transaction of the same rows, with 1 and with 1,000 tasks`,
    reached: worst.ratio >= TARGET,
    p50_ms: worst.p50_ms,
    p99_ms: worst.p99_ms,
    loads: measured,
  };
};

interface Cpu {
  readonly postgres: number;
  readonly orchestrator: number;
}

/** `run` answers how long each of its calls took. */
async function timed(cpu: () => Promise<Cpu>, run: () => Promise<readonly number[]>): Promise<Rates> {
  const before = await cpu();
  const startedAt = performance.now();
  const timesMs = await run();
  const tookMs = performance.now() - startedAt;
  const after = await cpu();
  const cpuMs = (part: keyof Cpu): number => ((after[part] - before[part]) * 1_000) / timesMs.length;
  return {
    plansPerSecond: (timesMs.length * 1_000) / tookMs,
    postgresCpuMs: cpuMs("postgres"),
    orchestratorCpuMs: cpuMs("orchestrator"),
    p50Ms: median(timesMs),
    p99Ms: percentile(timesMs, 99),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

async function dispatchMany(client: PlanClient, { plans, tasks }: Load): Promise<readonly number[]> {
  const timesMs: number[] = [];
  let left = plans;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const startedAt = performance.now();
      await client.dispatchPlan(noopPlan(tasks), { deadlineMs: 60_000 });
      timesMs.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return timesMs;
}
