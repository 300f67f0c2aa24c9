import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "@headroom/testing";
import type { ServiceMember } from "../e2e/support/members.ts";
import type { ServiceProcess } from "../e2e/support/service-process.ts";
import { between, type Fault, type Field, type NamedFault, shuffled, type Taken } from "./fault.ts";

type Among = (field: Field) => readonly ServiceProcess[];

const registries: Among = ({ cluster }) => cluster.registries;
const orchestrators: Among = ({ cluster }) => cluster.orchestrators;
const agents: Among = ({ cluster }) => cluster.agents;

/** One of them that nothing else befalls. */
function takeOne(field: Field, among: Among): readonly [ServiceProcess, Taken] | null {
  for (const process of shuffled(field.random, among(field))) {
    const taken = field.take(process);
    if (taken !== null) return [process, taken];
  }
  return null;
}

/** Those that were killed least often, so that each has its turn. */
const leastKilled =
  (among: Among): Among =>
  (field) => {
    const times = (process: ServiceProcess): number => field.kills.get(process) ?? 0;
    const free = among(field).filter((process) => !field.isTaken(process));
    const least = Math.min(...free.map(times));
    return free.filter((process) => times(process) === least);
  };

/** kill -9, and started again. */
const kill =
  (among: Among): Fault =>
  async (field) => {
    const awayMs = between(field.random, 0, 4_000);
    const found = takeOne(field, leastKilled(among));
    if (found === null) return null;
    const [victim, taken] = found;
    field.kills.set(victim, (field.kills.get(victim) ?? 0) + 1);
    await victim.kill9();
    await pause(awayMs);
    victim.start();
    taken.giveBack();
    return `${victim.name} for ${awayMs} ms`;
  };

/** SIGSTOP for longer than claim leases and heartbeats, then SIGCONT. */
const freeze =
  (among: Among, longestMs: number): Fault =>
  async (field) => {
    const forMs = between(field.random, 2_500, longestMs);
    const found = takeOne(field, among);
    if (found === null) return null;
    const [victim, taken] = found;
    const pid = victim.pid();
    process.kill(pid, "SIGSTOP");
    await pause(forMs);
    process.kill(pid, "SIGCONT");
    if (among === registries) field.registryWoke();
    taken.giveBack();
    return `${victim.name} for ${forMs} ms`;
  };

/** SIGTERM: it ends by itself, with 0, and is started again. One that has just been started may not have come to the point where it listens for signals. */
async function restart(field: Field, victim: ServiceProcess): Promise<void> {
  const mayBeDeaf = !victim.hasSpoken();
  try {
    const ending = await victim.term();
    if (ending !== 0 && !(mayBeDeaf && ending === "SIGTERM"))
      field.complain(`${victim.name} ended with ${ending} after SIGTERM`);
  } catch (error) {
    field.complain(error instanceof Error ? error.message : String(error));
  }
  victim.start();
}

const restartAgent: Fault = async (field) => {
  const awayMs = between(field.random, 0, 2_000);
  const found = takeOne(field, agents);
  if (found === null) return null;
  const [victim, taken] = found;
  await restart(field, victim);
  await pause(awayMs);
  taken.giveBack();
  return victim.name;
};

/** As an update does it: one process after the other, each when the one before listens again. Agents and work stay as they are. */
const rollingRestart: Fault = async (field) => {
  const { registries: first, orchestrators: then } = field.cluster;
  const restarted: string[] = [];
  for (const member of [...first, ...then]) {
    const taken = field.take(member);
    if (taken === null) continue;
    await restart(field, member);
    await untilHealthy(member);
    taken.giveBack();
    restarted.push(member.name);
  }
  return restarted.length === 0 ? null : restarted.join(", ");
};

/** Or long enough: its database may be away. */
async function untilHealthy(member: ServiceMember): Promise<void> {
  const isHealthy = async (): Promise<boolean> =>
    (await fetch(`http://${member.httpAddress}/readyz`, { signal: AbortSignal.timeout(1_000) })).ok;
  await waitFor(isHealthy, { timeoutMs: 10_000 }).catch(() => undefined);
}

const killOrchestrator: NamedFault = ["kill -9 orchestrator", kill(orchestrators)];

export const processFaults: readonly NamedFault[] = [
  killOrchestrator,
  killOrchestrator,
  ["kill -9 registry", kill(registries)],
  ["kill -9 agent", kill(agents)],
  ["SIGSTOP orchestrator", freeze(orchestrators, 6_000)],
  ["SIGSTOP registry", freeze(registries, 9_000)],
  ["SIGSTOP agent", freeze(agents, 12_000)],
  ["SIGTERM agent", restartAgent],
  ["rolling restart", rollingRestart],
];

/** Clients see PostgreSQL shut down. */
const stopDatabase: Fault = async (field) => {
  const { postgres, random } = field;
  const awayMs = between(random, 300, 4_000);
  const taken = field.takeDatabase();
  if (taken === null) return null;
  const ended = field.outage(databaseRecoveryMs);
  await postgres.stop();
  await pause(awayMs);
  await postgres.start();
  ended();
  taken.giveBack();
  return `for ${awayMs} ms`;
};

/** Its supervisor starts it again, and it recovers. */
const killDatabase: Fault = async (field) => {
  const { postgres, cluster } = field;
  const taken = field.takeDatabase();
  if (taken === null) return null;
  const ended = field.outage(databaseRecoveryMs);
  postgres.kill9();
  await waitFor(async () => (await cluster.sql("SELECT 1 AS one")).length === 1, { timeoutMs: 60_000 });
  ended();
  taken.giveBack();
  return "";
};

/** Connections are tried again with a back-off, and the services' loops have one of their own. */
export const databaseRecoveryMs = 10_000;

const databaseStopped: NamedFault = ["PostgreSQL stopped", stopDatabase];

/** What every storm begins with, however short it is: each of three orchestrators killed, PostgreSQL stopped in between. */
export const openingFaults: readonly NamedFault[] = [
  killOrchestrator,
  databaseStopped,
  killOrchestrator,
  killOrchestrator,
];

export const databaseFaults: readonly NamedFault[] = [databaseStopped, ["PostgreSQL kill -9", killDatabase]];
