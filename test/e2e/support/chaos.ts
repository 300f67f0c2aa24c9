import { setTimeout as pause } from "node:timers/promises";
import type { PrivatePostgres, SeededRandom } from "@headroom/testing";
import type { Cluster } from "./cluster.ts";
import type { ServiceProcess } from "./service-process.ts";

export interface ChaosOptions {
  readonly cluster: Cluster;
  readonly postgres: PrivatePostgres;
  readonly random: SeededRandom;
  readonly durationMs: number;
  /** Longer than the orchestrators' claim lease: how long a frozen one stays so. */
  readonly frozenMs: number;
  /** How often PostgreSQL is restarted, spread over the time. */
  readonly databaseRestarts: number;
}

/** What was done, for the figures. */
export interface ChaosReport {
  readonly kills: Readonly<Record<string, number>>;
  readonly frozen: number;
  readonly databaseStops: number;
  readonly databaseKills: number;
}

/**
 * Kills and freezes orchestrators at moments that nobody chose, now and then the registry or an agent, and restarts PostgreSQL in between.
 * Several orchestrators may be away at once. When it resolves everything runs again, or is about to.
 */
export async function makeChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { cluster, postgres, random, durationMs } = options;
  const kills: Record<string, number> = {};
  let frozen = 0;
  let databaseStops = 0;
  let databaseKills = 0;
  const repairs = new Set<Promise<void>>();
  const busy = new Set<ServiceProcess>();

  function strike(victim: ServiceProcess, blow: () => Promise<void>): void {
    busy.add(victim);
    const repair = blow().finally(() => {
      busy.delete(victim);
      repairs.delete(repair);
    });
    repairs.add(repair);
  }

  async function kill(victim: ServiceProcess): Promise<void> {
    kills[victim.name] = (kills[victim.name] ?? 0) + 1;
    const awayMs = random.next() * 1_500;
    await victim.kill9();
    await pause(awayMs);
    victim.start();
  }

  async function freeze(victim: ServiceProcess): Promise<void> {
    frozen += 1;
    const pid = victim.pid();
    process.kill(pid, "SIGSTOP");
    await pause(options.frozenMs);
    process.kill(pid, "SIGCONT");
  }

  async function restartDatabase(): Promise<void> {
    if (random.next() < 0.5) {
      databaseKills += 1;
      postgres.kill9();
      return;
    }
    databaseStops += 1;
    await postgres.stop();
    await pause(300 + random.next() * 1_000);
    await postgres.start();
  }

  const endsMs = performance.now() + durationMs;
  const restartsAt = Array.from(
    { length: options.databaseRestarts },
    (_, n) => endsMs - durationMs * (1 - (n + 1) / (options.databaseRestarts + 1)),
  );
  while (performance.now() < endsMs) {
    await pause(200 + random.next() * 1_500);
    if (restartsAt[0] !== undefined && performance.now() >= restartsAt[0]) {
      restartsAt.shift();
      await restartDatabase();
      continue;
    }
    const dice = random.next();
    const among = dice < 0.8 ? cluster.orchestrators : dice < 0.9 ? cluster.registries : cluster.agents;
    const victim = among[random.int(0, among.length - 1)];
    if (victim === undefined || busy.has(victim) || !victim.isRunning()) continue;
    const isOrchestrator = among === cluster.orchestrators;
    strike(victim, () => (isOrchestrator && random.next() < 0.25 ? freeze(victim) : kill(victim)));
  }
  await Promise.all(repairs);
  return { kills, frozen, databaseStops, databaseKills };
}
