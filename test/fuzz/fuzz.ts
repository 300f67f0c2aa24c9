/** One run: rubbish of every kind, and after each kind a look at what must have stayed as it was. */
import { bodies } from "./phases/bodies.ts";
import { framing } from "./phases/framing.ts";
import { http2 } from "./phases/http2.ts";
import { messages } from "./phases/messages.ts";
import { rest } from "./phases/rest.ts";
import { silent } from "./phases/silent.ts";
import { streams } from "./phases/streams.ts";
import { startCanary } from "./support/canary.ts";
import { type Phase, Tally } from "./support/tally.ts";
import { type Bounds, startWatch } from "./support/watch.ts";
import { startWorld } from "./support/world.ts";

export interface FuzzOptions {
  readonly seed: number;
  /** Runs all parts again, with the next seed, until this time is over; 0: once. */
  readonly minutes: number;
  readonly effort: number;
  /** Parts by name; none: all. */
  readonly only?: readonly string[];
  /** In place of some of the usual ones. */
  readonly bounds?: Partial<Bounds>;
}

export interface FuzzReport {
  readonly seed: number;
  readonly rounds: number;
  readonly tally: Tally;
  readonly seconds: number;
}

export const phases: Readonly<Record<string, Phase>> = { messages, framing, streams, bodies, http2, rest, silent };

const usualBounds: Bounds = {
  heapGrowthMib: 60,
  rssGrowthMib: 600,
  peakRssMib: 1_200,
  worstDelayMs: 10_000,
  logBytesPerCase: 400,
};

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const startedMs = performance.now();
  const tally = new Tally();
  const world = await startWorld();
  let rounds = 0;
  try {
    const canary = await startCanary(world);
    const watch = await startWatch(world, tally, { ...usualBounds, ...options.bounds });
    do {
      const seed = options.seed + rounds;
      for (const [name, phase] of Object.entries(phases)) {
        if (options.only !== undefined && !options.only.includes(name)) continue;
        await watch.during(name, () => phase({ world, tally, seed, effort: options.effort }));
        for (const problem of await canary.check()) tally.find(name, problem, `seed ${seed}`);
        if (world.services.some((service) => !service.isRunning())) break;
      }
      rounds += 1;
    } while (performance.now() - startedMs < options.minutes * 60_000 && tally.findings.length === 0);
    for (const problem of await canary.end()) tally.find("the end", problem);
  } catch (error) {
    // A service that is gone answers no question: its last words tell more.
    throw new Error(`the run broke off\n${world.cluster.logs(10)}`, { cause: error });
  } finally {
    await world.stop();
  }
  return { seed: options.seed, rounds, tally, seconds: Math.round((performance.now() - startedMs) / 1_000) };
}
