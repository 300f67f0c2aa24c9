/** The registry is killed and starts again, and its whole fleet comes back at once, each agent on its own connection. */
import { type Bench, pause, progress } from "./support/bench.ts";
import { ClientFleet, startPostgres, startRegistry } from "./support/servers.ts";
import { median, rounded } from "./support/stats.ts";

const MAX_DELAY_P99_MS = 200;

interface Storm {
  readonly allBackMs: number;
  readonly retries: number;
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
}

export const storm: Bench = async (options) => {
  const { quick } = options;
  const agents = quick ? 1_000 : 10_000;
  const runs = options.runs ?? (quick ? 1 : 5);
  const postgres = await startPostgres();
  let registry = await startRegistry(postgres.url);
  const { address } = registry;
  const fleet = await ClientFleet.start({ processes: quick ? 2 : 4, agents, changedShare: 0.2 });
  const startedAt = performance.now();
  const { cpuUs: cpuBeforeUs } = await registry.stats();
  await fleet.join(address);
  const cpuUsPerJoin = Math.round(((await registry.stats()).cpuUs - cpuBeforeUs) / agents);
  const joinedInMs = Math.round(performance.now() - startedAt);
  progress(`${agents} agents joined in ${joinedInMs} ms, ${cpuUsPerJoin} µs of the registry's CPU each`);
  const found: Storm[] = [];
  for (let run = 0; run < runs; run += 1) {
    await pause(quick ? 1_000 : 5_000);
    await registry.program.kill();
    // All have noticed, and try again.
    await pause(500);
    const retriesBefore = (await fleet.counts(address)).retries;
    registry = await startRegistry(postgres.url, { env: { HEADROOM_REGISTRY_GRPC_ADDR: address } });
    const startedAt = performance.now();
    await registry.program.call("startDelays");
    await fleet.rejoined(address);
    const allBackMs = performance.now() - startedAt;
    const { eventLoopDelayP99Ms, eventLoopDelayMaxMs } = await registry.stats();
    const { retries, joined } = await fleet.counts(address);
    if (joined < agents) throw new Error(`only ${joined} of ${agents} came back`);
    found.push({
      allBackMs,
      retries: retries - retriesBefore,
      delayP99Ms: eventLoopDelayP99Ms,
      delayMaxMs: eventLoopDelayMaxMs,
    });
    progress(JSON.stringify(found.at(-1)));
  }
  const of = (figure: keyof Storm): number => rounded(median(found.map((each) => each[figure])));
  const value = of("delayP99Ms");
  return {
    bench: "storm",
    ratio: rounded(value / MAX_DELAY_P99_MS),
    value,
    limit: MAX_DELAY_P99_MS,
    unit: "ms of event-loop delay, p99, until all are back",
    target: `all back, event-loop delay p99 <= ${MAX_DELAY_P99_MS} ms`,
    reached: value <= MAX_DELAY_P99_MS,
    agents,
    all_back_ms: of("allBackMs"),
    retries: of("retries"),
    event_loop_delay_max_ms: of("delayMaxMs"),
  };
};
