import { setTimeout as pause } from "node:timers/promises";
import { type PrivatePostgres, SeededRandom } from "@headroom/testing";
import type { Facts } from "../support/invariants/facts.ts";
import type { Cluster } from "../e2e/support/cluster.ts";
import { lastWords, type ServiceProcess } from "../e2e/support/service-process.ts";
import { diskFaults } from "./disk-faults.ts";
import { type Field, type NamedFault, shuffled, type Taken } from "./fault.ts";
import type { FaultyNetwork } from "./faulty-network.ts";
import { networkFaults } from "./network-faults.ts";
import { databaseFaults, openingFaults, processFaults } from "./process-faults.ts";
import type { SmallDisks } from "./small-disks.ts";

export interface StormOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly cluster: Cluster;
  readonly postgres: PrivatePostgres;
  readonly network: FaultyNetwork;
  /** Null: no disk is filled. */
  readonly disks: SmallDisks | null;
}

/** What was done, for the figures and for the checker. */
export interface StormReport {
  readonly faults: Readonly<Record<string, number>>;
  /** How often each process was killed, by its name. */
  readonly kills: Readonly<Record<string, number>>;
  /** One line each, with the seconds since the storm began. */
  readonly story: readonly string[];
  readonly problems: readonly string[];
  readonly outages: Facts["outages"];
  readonly stalls: NonNullable<Facts["stalls"]>;
}

/** More at a time would be one long outage. */
const mostAtOnce = 4;
const shortestPauseMs = 200;
const longestPauseMs = 1_800;
/** What a registry that stood still knows of its agents is old for so long. */
const doubtedWithinMs = 20_000;
const watchEveryMs = 250;

/** Lets things go wrong, first what belongs to every storm, then what the seed chooses, several at a time, each kind as often as the others; when it resolves everything is mended. */
export async function storm(options: StormOptions): Promise<StormReport> {
  const { seed, durationMs, cluster, postgres, network, disks } = options;
  const startedMs = performance.now();
  const faults: Record<string, number> = {};
  const story: string[] = [];
  const problems: string[] = [];
  const outages: { fromMs: number; toMs: number }[] = [];
  const stalls: { fromMs: number; toMs: number }[] = [];
  const taken = new Set<ServiceProcess>();
  const kills = new Map<ServiceProcess, number>();
  let isDatabaseTaken = false;

  const tell = (line: string): void => void story.push(`${seconds(startedMs)} ${line}`);

  const field: Omit<Field, "random"> = {
    cluster,
    postgres,
    network,
    disks,
    kills,
    complain(problem) {
      tell(problem);
      problems.push(problem);
    },
    take(process) {
      if (taken.has(process) || !process.isRunning()) return null;
      taken.add(process);
      return once(() => taken.delete(process));
    },
    isTaken: (process) => taken.has(process) || !process.isRunning(),
    takeDatabase() {
      if (isDatabaseTaken) return null;
      isDatabaseTaken = true;
      return once(() => (isDatabaseTaken = false));
    },
    outage(recoveryMs) {
      const outage = { fromMs: Date.now(), toMs: Infinity };
      outages.push(outage);
      return () => {
        outage.toMs = Date.now() + recoveryMs;
      };
    },
    registryWoke: () => void stalls.push({ fromMs: Date.now(), toMs: Date.now() + doubtedWithinMs }),
  };

  /** Whoever ends without being asked to is started again, as its service manager would, and that is a problem. */
  const watch = setInterval(() => {
    for (const process of [...cluster.registries, ...cluster.orchestrators, ...cluster.agents]) {
      if (process.isRunning() || taken.has(process)) continue;
      field.complain(`${process.name} ended by itself:\n${lastWords(process)}`);
      process.start();
    }
  }, watchEveryMs);

  const deck = dealer(seed, disks === null ? [] : diskFaults);
  const underWay = new Set<Promise<void>>();
  for (let number = 1; performance.now() - startedMs < durationMs; number += 1) {
    const random = new SeededRandom(seed * 1_000 + number);
    await pause(shortestPauseMs + random.next() * (longestPauseMs - shortestPauseMs));
    while (underWay.size >= mostAtOnce) await Promise.race(underWay);
    const [kind, fault] = deck();
    tell(`${number}: ${kind}`);
    const running = fault({ ...field, random })
      .then((what) => {
        if (what !== null) faults[kind] = (faults[kind] ?? 0) + 1;
        tell(`${number}: ${kind} is over${what === null ? ", nothing to be had for it" : `: ${what}`}`);
      })
      .catch((error: unknown) => field.complain(`${kind}: ${error instanceof Error ? error.message : String(error)}`))
      .finally(() => underWay.delete(running));
    underWay.add(running);
  }
  await Promise.all(underWay);
  network.mend();
  // Whoever ends now is not started again by the next look.
  clearInterval(watch);
  const killed = Object.fromEntries([...kills].map(([process, times]) => [process.name, times]));
  return { faults, kills: killed, story, problems, outages, stalls };
}

/** First what every storm begins with, then all kinds in an order of the seed's, and again in another one. */
function dealer(seed: number, more: readonly NamedFault[]): () => NamedFault {
  const random = new SeededRandom(seed);
  let left: NamedFault[] = openingFaults.toReversed();
  return () => {
    if (left.length === 0) left = shuffled(random, [...processFaults, ...databaseFaults, ...networkFaults, ...more]);
    return left.pop()!;
  };
}

function once(undo: () => void): Taken {
  return { giveBack: undo };
}

const seconds = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1_000).toFixed(1)} s`;
