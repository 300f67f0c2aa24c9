/**
 * From an agent's message that its attempt has ended to the assignment of the next paused task arriving at an agent, with
 * few and with many tasks waiting: one agent with room for one task, which runs for a moment.
 */
import { type Bench, pause, progress } from "./support/bench.ts";
import { commitTimes, dispatchTasks, startStage, startWorkers } from "./support/orchestrators.ts";
import { startPostgres, stopAll } from "./support/servers.ts";
import { median, percentile, rounded } from "./support/stats.ts";

const LIMIT_MS = 15;
const LIMIT_COMMITS = 6;
const MAX_SLOWDOWN = 1.5;
/** Long enough that everything about the task before is over, and that the next one waits. */
const HOLD_MS = 100;
const COMMITS = 100;
/** The first ones warm everything up. */
const WARM_UP = 10;

interface AtLength {
  readonly waiting: number;
  readonly samples: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly commit_p50_ms: number;
}

export const resumeLatency: Bench = async ({ quick }) => {
  const lengths = quick ? [1, 5_000] : [1, 1_000, 100_000];
  const samples = quick ? 30 : 100;
  const measured: AtLength[] = [];
  for (const waiting of lengths) {
    measured.push(await measure(waiting, samples));
    progress(JSON.stringify(measured.at(-1)));
    await stopAll();
  }
  const [shortest, longest] = [measured[0], measured.at(-1)];
  if (shortest === undefined || longest === undefined) throw new RangeError("nothing was measured");
  const limit = rounded(Math.max(LIMIT_MS, LIMIT_COMMITS * longest.commit_p50_ms));
  const slowdown = rounded(longest.p50_ms / shortest.p50_ms);
  return {
    bench: "resume-latency",
    ratio: rounded(longest.p50_ms / limit),
    value: longest.p50_ms,
    limit,
    unit: `ms from a task's end to the next one's assignment, p50, with ${longest.waiting} waiting`,
    target: `<= ${LIMIT_MS} ms or ${LIMIT_COMMITS} commits, and at most ${MAX_SLOWDOWN} x that with ${shortest.waiting} waiting`,
    reached: longest.p50_ms <= limit && slowdown <= MAX_SLOWDOWN,
    p50_ms: longest.p50_ms,
    p99_ms: longest.p99_ms,
    machine_commit_ms: longest.commit_p50_ms,
    slowdown,
    lengths: measured,
  };
};

async function measure(waiting: number, samples: number): Promise<AtLength> {
  const postgres = await startPostgres();
  const stage = await startStage(postgres);
  // One of them runs at once.
  await dispatchTasks(stage.plans, waiting + 1);
  const commits = [...(await commitTimes(postgres, COMMITS))];
  const workers = await startWorkers(stage, { agents: 1, cores: 1, holdMs: HOLD_MS });
  const latencies: number[] = [];
  while (latencies.length < samples + WARM_UP) {
    await pause(20);
    const taken = await workers.takeLatencies();
    latencies.push(...taken);
    // The queue keeps its length.
    if (taken.length > 0) await dispatchTasks(stage.plans, taken.length);
  }
  commits.push(...(await commitTimes(postgres, COMMITS)));
  const counted = latencies.slice(WARM_UP);
  return {
    waiting,
    samples: counted.length,
    p50_ms: rounded(median(counted)),
    p99_ms: rounded(percentile(counted, 99)),
    commit_p50_ms: rounded(median(commits)),
  };
}
