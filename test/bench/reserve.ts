/** Reservations per second, one by one and in batches of 500, against the same guarded update in raw SQL on the same PostgreSQL. */
import { type Bench, progress } from "./support/bench.ts";
import { startProgram } from "./support/programs.ts";
import { ClientFleet, startBare, startPostgres, startRegistry, TOKEN } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const TARGET = 0.7;
/** 16 cores each: all reservations of one turn fit twice. */
const AGENTS = 1_000;

interface Load {
  readonly name: string;
  readonly size: number;
  readonly concurrency: number;
  readonly calls: number;
}

export const reserve: Bench = async (options) => {
  const { quick } = options;
  const runs = options.runs ?? (quick ? 3 : 5);
  const loads: readonly Load[] = [
    { name: "single", size: 1, concurrency: 8, calls: quick ? 500 : 4_000 },
    { name: "batch_500", size: 500, concurrency: 1, calls: quick ? 5 : 16 },
  ];
  const postgres = await startPostgres();
  const registry = await startRegistry(postgres.url);
  const fleet = await ClientFleet.start({ processes: 2, agents: AGENTS, connections: 20, empty: true });
  await fleet.join(registry.address);
  await fleet.beatAsTold(registry.address, 0);
  const callers = await startProgram("callers-main");
  const bare = await startBare();
  await callers.call("connect", { registry: registry.address, bare: bare.address, token: TOKEN });
  await bare.program.call("promise", await callers.call("capturePromise"));
  const raw = await startProgram("raw-sql-main");
  const commitMs = await raw.call<number>("prepare", { url: postgres.url, agents: AGENTS });
  const measured = [];
  for (const { name, ...load } of loads) {
    const rates = { raw: [] as number[], bare: [] as number[], registry: [] as number[] };
    const registryCpuUs: number[] = [];
    // The first turn of each warms both up.
    for (let run = 0; run <= runs; run += 1) {
      const rawRate = await raw.call<number>("reserve", load);
      const bareRate = await callers.call<number>("reserve", { ...load, server: "bare" });
      const { cpuUs } = await registry.stats();
      const registryRate = await callers.call<number>("reserve", { ...load, server: "registry" });
      const usedUs = (await registry.stats()).cpuUs - cpuUs;
      if (run === 0) continue;
      rates.bare.push(bareRate);
      registryCpuUs.push(usedUs / (load.calls * load.size));
      rates.raw.push(rawRate);
      rates.registry.push(registryRate);
    }
    progress(
      `${name}: raw ${rates.raw.map(Math.round).join(" ")}, bare ${rates.bare.map(Math.round).join(" ")}, registry ${rates.registry.map(Math.round).join(" ")}`,
    );
    const value = Math.round(median(rates.registry));
    const limit = Math.round(median(rates.raw));
    measured.push({
      load: name,
      concurrency: load.concurrency,
      ratio: rounded(value / limit),
      value,
      limit,
      // What the same call costs where nothing is decided and nothing is kept.
      bare: Math.round(median(rates.bare)),
      // With its release.
      registry_cpu_us: Math.round(median(registryCpuUs)),
    });
  }
  const [worst] = measured.toSorted((a, b) => a.ratio - b.ratio);
  if (worst === undefined) throw new RangeError("nothing was measured");
  return {
    bench: "reserve",
    ratio: worst.ratio,
    value: worst.value,
    limit: worst.limit,
    unit: "reservations per second",
    target: `>= ${TARGET} of raw SQL, one by one and in batches`,
    reached: worst.ratio >= TARGET,
    machine_commit_ms: rounded(commitMs),
    agents: AGENTS,
    loads: measured,
  };
};
