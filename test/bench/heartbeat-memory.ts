/** RSS per connected agent above an idle process: the registry against the bare server, each agent on its own connection. */
import { type Bench, pause, progress } from "./support/bench.ts";
import { ClientFleet, endGracefully, type Server, startBare, startPostgres, startRegistry } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const TARGET = 1.5;
/** So that memory that nobody uses any more is given back before it is looked at, on both sides. */
const EXEC_ARGV = ["--expose-gc"];

export const heartbeatMemory: Bench = async (options) => {
  const { quick } = options;
  const agents = quick ? 1_000 : 10_000;
  const runs = options.runs ?? (quick ? 1 : 5);
  const found = { bare: [] as number[], registry: [] as number[] };
  for (let run = 0; run < runs; run += 1) {
    found.bare.push(await measure(await startBare({ execArgv: EXEC_ARGV }), agents, quick));
    // A database of its own for each: a registry that knows the fleets of the runs before does not only hold this one.
    const postgres = await startPostgres();
    found.registry.push(await measure(await startRegistry(postgres.url, { execArgv: EXEC_ARGV }), agents, quick));
    progress(`bytes per agent: bare ${found.bare.at(-1)}, registry ${found.registry.at(-1)}`);
  }
  const value = median(found.registry);
  const limit = median(found.bare);
  return {
    bench: "heartbeat-memory",
    ratio: rounded(value / limit),
    value,
    limit,
    unit: "bytes of RSS per connected agent",
    target: `<= ${TARGET} x the bare server`,
    reached: value <= TARGET * limit,
    agents,
  };
};

/** Bytes per agent. The fleet beats as told for a while, so that what beats leave behind is counted as well. */
async function measure(server: Server, agents: number, quick: boolean): Promise<number> {
  const settledRss = async (): Promise<number> => {
    await server.program.call("collectGarbage");
    await pause(500);
    return (await server.stats()).rssBytes;
  };
  // The first connections load and compile what any number of them needs.
  const first = await ClientFleet.start({ processes: 1, agents: 20 });
  await first.join(server.address);
  await first.end();
  await pause(500);
  const idle = await settledRss();
  const fleet = await ClientFleet.start({ processes: quick ? 2 : 4, agents, changedShare: 0.2 });
  await fleet.join(server.address);
  await pause(quick ? 3_000 : 12_000);
  const full = await settledRss();
  await fleet.end();
  await endGracefully(server.program);
  return Math.round((full - idle) / agents);
}
