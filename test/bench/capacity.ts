/**
 * ListAvailableCapacity with a page of 50, random filter and sort, while the fleet keeps beating, against a bare unary
 * call of the same answers. The same callers, at equal concurrency, take turns with both servers.
 */
import { type Bench, type BenchOptions, progress } from "./support/bench.ts";
import { type Program, startProgram } from "./support/programs.ts";
import { ClientFleet, type Server, startBare, startPostgres, startRegistry, TOKEN } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const TARGET = 0.7;
const MAX_SLOWDOWN = 1.5;
/** Streams of one connection: 100,000 connections would not fit the descriptors of a process. */
const STREAMS_PER_CONNECTION = 100;
const CONCURRENCY = 16;
/** Of the beats. */
const CHANGED_SHARE = 0.2;

interface Calls {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface AtSize {
  readonly agents: number;
  readonly ratio: number;
  readonly calls_per_second: number;
  readonly bare_calls_per_second: number;
  readonly calls_per_cpu_second: number;
  readonly bare_calls_per_cpu_second: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly bare_p50_ms: number;
  readonly bare_p99_ms: number;
}

export const capacity: Bench = async (options) => {
  const { quick } = options;
  const sizes = quick ? [300, 3_000] : [1_000, 10_000, 100_000];
  const measured: AtSize[] = [];
  for (const agents of sizes) measured.push(await measureSize(agents, options));
  const [smallest, largest] = [measured[0], measured.at(-1)];
  if (smallest === undefined || largest === undefined) throw new RangeError("nothing was measured");
  const slowdown = rounded(smallest.calls_per_second / largest.calls_per_second);
  return {
    bench: "capacity",
    ratio: largest.ratio,
    value: largest.calls_per_second,
    limit: largest.bare_calls_per_second,
    unit: `calls per second at ${largest.agents} agents`,
    target: `>= ${TARGET} of the bare call at the largest fleet, at most ${MAX_SLOWDOWN} x slower than at the smallest`,
    reached: largest.ratio >= TARGET && slowdown <= MAX_SLOWDOWN,
    p50_ms: largest.p50_ms,
    p99_ms: largest.p99_ms,
    slowdown,
    sizes: measured,
  };
};

async function measureSize(agents: number, options: BenchOptions): Promise<AtSize> {
  const { quick } = options;
  const runs = options.runs ?? (quick ? 3 : 5);
  const runMs = quick ? 800 : 4_000;
  const postgres = await startPostgres();
  const registry = await startRegistry(postgres.url);
  const bare = await startBare();
  const connections = Math.ceil(agents / STREAMS_PER_CONNECTION);
  const fleet = await ClientFleet.start({
    processes: agents > 10_000 ? 4 : 2,
    agents,
    connections,
    changedShare: CHANGED_SHARE,
  });
  const startedAt = performance.now();
  await fleet.join(registry.address);
  const cpuUsPerJoin = Math.round((await registry.stats()).cpuUs / agents);
  const joinedInMs = Math.round(performance.now() - startedAt);
  progress(
    `${agents} agents joined in ${joinedInMs} ms, ${cpuUsPerJoin} µs of the registry's CPU each, its start counted`,
  );
  const callers = await startProgram("callers-main");
  await callers.call("connect", { registry: registry.address, bare: bare.address, token: TOKEN });
  await bare.program.call("answerWith", await callers.call("capture", 64));
  const turn = async (name: "registry" | "bare", server: Server): Promise<Calls & { perCpuSecond: number }> => {
    const before = await server.stats();
    const calls = await listFor(callers, name, runMs);
    const cpuSeconds = ((await server.stats()).cpuUs - before.cpuUs) / 1e6;
    return { ...calls, perCpuSecond: (calls.perSecond * runMs) / 1_000 / cpuSeconds };
  };
  await turn("bare", bare);
  await turn("registry", registry);
  const found = { bare: [] as Awaited<ReturnType<typeof turn>>[], registry: [] as Awaited<ReturnType<typeof turn>>[] };
  for (let run = 0; run < runs; run += 1) {
    found.bare.push(await turn("bare", bare));
    found.registry.push(await turn("registry", registry));
  }
  await Promise.all([callers.kill(), fleet.end(), bare.program.kill()]);
  await registry.program.call("exit", undefined, 15_000).catch(() => undefined);
  const of = (name: keyof typeof found, figure: keyof Calls | "perCpuSecond"): number =>
    rounded(median(found[name].map((calls) => calls[figure])));
  const at: AtSize = {
    agents,
    ratio: rounded(of("registry", "perSecond") / of("bare", "perSecond")),
    calls_per_second: of("registry", "perSecond"),
    bare_calls_per_second: of("bare", "perSecond"),
    calls_per_cpu_second: of("registry", "perCpuSecond"),
    bare_calls_per_cpu_second: of("bare", "perCpuSecond"),
    p50_ms: of("registry", "p50Ms"),
    p99_ms: of("registry", "p99Ms"),
    bare_p50_ms: of("bare", "p50Ms"),
    bare_p99_ms: of("bare", "p99Ms"),
  };
  progress(JSON.stringify(at));
  return at;
}

function listFor(callers: Program, server: "registry" | "bare", forMs: number): Promise<Calls> {
  return callers.call<Calls>("list", { server, forMs, concurrency: CONCURRENCY });
}
