/**
 * Acknowledged heartbeats per CPU second of one registry process with persistence, against a bare server that decodes
 * and acknowledges the same messages. Each agent has one beat on its way; one beat in five carries a changed sample.
 */
import { type Bench, type BenchOptions, pause, progress } from "./support/bench.ts";
import { ClientFleet, type Server, startBare, startPostgres, startRegistry } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const TARGET = 0.6;

interface Shape {
  readonly name: string;
  readonly agents: number;
  readonly connections: number;
}

const SHAPES: readonly Shape[] = [
  { name: "1000_connections", agents: 1_000, connections: 1_000 },
  { name: "100_connections_x_100_streams", agents: 10_000, connections: 100 },
];
const QUICK_SHAPES: readonly Shape[] = [{ name: "300_connections", agents: 300, connections: 300 }];

export const heartbeat: Bench = async (options) => {
  const { quick } = options;
  const shapes = quick ? QUICK_SHAPES : SHAPES;
  const postgres = await startPostgres();
  const measured = [];
  for (const shape of shapes) measured.push(await measureShape(shape, postgres.url, options));
  const [worst] = measured.toSorted((a, b) => a.ratio - b.ratio);
  if (worst === undefined) throw new RangeError("nothing was measured");
  return {
    bench: "heartbeat",
    ratio: worst.ratio,
    value: worst.value,
    limit: worst.limit,
    unit: "acked heartbeats per CPU second of the server",
    target: `>= ${TARGET} of the bare server`,
    reached: worst.ratio >= TARGET,
    shapes: measured,
  };
};

async function measureShape(
  { name, agents, connections }: Shape,
  databaseUrl: string,
  options: BenchOptions,
): Promise<{ shape: string; ratio: number; value: number; limit: number }> {
  const { quick } = options;
  const runs = options.runs ?? (quick ? 3 : 5);
  const runMs = quick ? 1_500 : 4_000;
  // The interval told is of no account here, and no agent may be suspect while the other server is measured.
  const registry = await startRegistry(databaseUrl, { env: { HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "300" } });
  const bare = await startBare();
  const fleet = await ClientFleet.start({ processes: 2, agents, connections });
  progress(`${name}: ${agents} agents join both servers`);
  await fleet.join(bare.address);
  await fleet.join(registry.address);
  for (const server of [bare, registry]) await measure(fleet, server, runMs);
  const rates = { bare: [] as number[], registry: [] as number[] };
  for (let run = 0; run < runs; run += 1) {
    rates.bare.push(await measure(fleet, bare, runMs));
    rates.registry.push(await measure(fleet, registry, runMs));
  }
  progress(
    `${name}: bare ${rates.bare.map(Math.round).join(" ")}, registry ${rates.registry.map(Math.round).join(" ")}`,
  );
  await fleet.end();
  await bare.program.kill();
  await registry.program.call("exit", undefined, 15_000).catch(() => undefined);
  const value = median(rates.registry);
  const limit = median(rates.bare);
  return { shape: name, ratio: rounded(value / limit), value: Math.round(value), limit: Math.round(limit) };
}

/** Heartbeats acknowledged per second of the server's CPU time. */
async function measure(fleet: ClientFleet, server: Server, runMs: number): Promise<number> {
  await fleet.beatHard(server.address);
  await pause(300);
  const [before, ackedBefore] = [await server.stats(), await fleet.counts(server.address)];
  await pause(runMs);
  const [after, ackedAfter] = [await server.stats(), await fleet.counts(server.address)];
  await fleet.pause(server.address);
  // What is on its way is answered before the other server's turn.
  await pause(300);
  return (ackedAfter.acked - ackedBefore.acked) / ((after.cpuUs - before.cpuUs) / 1e6);
}
