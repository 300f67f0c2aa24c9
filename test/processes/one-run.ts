import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHeadroomClient, type HeadroomClient } from "@headroom/client";
import { type PrivatePostgres, SeededRandom, startPrivatePostgres, waitFor } from "@headroom/testing";
import { type Cluster, startCluster } from "../e2e/support/cluster.ts";
import { nothingPromised } from "../e2e/support/facts.ts";
import { followJournals, type Journals } from "../e2e/support/journals.ts";
import { must } from "../e2e/support/results.ts";
import { sqlOn } from "../e2e/support/sql.ts";
import { findViolations, violationLines } from "../support/invariants/check.ts";
import { checkWaiting } from "../support/invariants/check-waiting.ts";
import type { AcceptedFact, Facts } from "../support/invariants/facts.ts";
import { readFacts } from "../support/invariants/read-facts.ts";
import { installRecorder } from "../support/invariants/recorder.ts";
import { diskMib } from "./disk-faults.ts";
import { createFaultyNetwork, database, type FaultyNetwork } from "./faulty-network.ts";
import { calmPlan, type LoadReport, submitPlans } from "./load.ts";
import { createSmallDisks, type SmallDisks, whyNoSmallDisks } from "./small-disks.ts";
import { storm, type StormReport } from "./storm.ts";

/** What came of one run. */
export interface Outcome {
  readonly seed: number;
  readonly seconds: number;
  readonly plans: number;
  readonly tasks: number;
  readonly attempts: number;
  /** Processes of tasks that really ran. */
  readonly commands: number;
  readonly repeatedCalls: number;
  /** Work that agents refused because their disk was full. */
  readonly refusedForDisk: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Faults that this machine does not allow, and why. */
  readonly leftOut: readonly string[];
  /** One line each; empty: all is well. */
  readonly problems: readonly string[];
  /** Of a run with problems: logs, journals, facts and what was done when. */
  readonly keptIn: string | null;
}

/** What is open at the end has to get through, some of it after backoffs; dead connections take 40 s to be found, lost leases 15 s and 30 s. */
const settleMs = 180_000;
/** An agent to which a delivery failed is avoided for 30 s, and the poll, claims and errors have their own seconds. */
const waitBoundMs = 45_000;
const openTasks = 60;
const calmPlans = 3;
const planners = 3;

const members = { registries: 2, orchestrators: 3, agents: 3 } as const;

const agents = [
  { cpuCores: 4, memoryGb: 8, gpus: [{ model: "RTX 4090", vramGb: 24 }] },
  { cpuCores: 4, memoryGb: 4 },
  { cpuCores: 2, memoryGb: 4, gpus: [{ model: "RTX 3060", vramGb: 12 }] },
] as const;

const env = {
  HEADROOM_LOG_LEVEL: "info",
  PAUSE_POLLING_INTERVAL_SECONDS: "2",
  PAUSE_ERROR_DELAY_SECONDS: "1",
  HEADROOM_CLAIM_LEASE_SECONDS: "2",
  // The machines declare what they have; the threshold would hold the last fifth of them back.
  PAUSE_CAPACITY_THRESHOLD_PERCENT: "0",
  // Each fault of an agent is a flap, and a machine on probation takes nothing for minutes.
  HEADROOM_FLAPS_TOLERATED: "1000",
};

/** Starts a cluster of processes, breaks it for `stormMs` under load, lets everything end, and looks for what must not be. */
export async function runUnderFaults({
  seed,
  stormMs,
}: {
  readonly seed: number;
  readonly stormMs: number;
}): Promise<Outcome> {
  const whyNot = whyNoSmallDisks();
  const disks = whyNot === null ? makeDisks() : null;
  const network = createFaultyNetwork();
  const opened: { close(): unknown }[] = [];
  let postgres: PrivatePostgres | undefined;
  let cluster: Cluster | undefined;
  let killServer = (): void => undefined;
  try {
    const dir = disks?.disks.find(({ name }) => name === database)?.path;
    const server = await startPrivatePostgres(dir === undefined ? {} : { dir });
    postgres = server;
    killServer = () => void (server.pid() !== null && server.kill9());
    // It would outlive this program.
    process.once("exit", killServer);
    const sql = sqlOn(postgres.connectionString);
    cluster = await startCluster({
      label: "processes",
      database: { connectionString: postgres.connectionString, sql },
      registries: members.registries,
      orchestrators: members.orchestrators,
      agents,
      env,
      ways: network,
      ...(disks !== null && { homeOf: (name: string) => disks.disks.find((disk) => disk.name === name)!.path }),
    });
    const journals = followJournals(cluster.agents);
    opened.push(journals);
    await installRecorder(sql);
    const clients = await plannersOf(cluster, network);
    opened.push(...clients);
    const outcome = await weather({ seed, stormMs, cluster, postgres, network, disks, journals, clients });
    return { ...outcome, leftOut: whyNot === null ? [] : [`disk full: ${whyNot}`] };
  } finally {
    for (const one of opened) one.close();
    await cluster?.stop();
    await network.close();
    await postgres?.remove();
    process.off("exit", killServer);
    await disks?.remove();
  }
}

interface Ground {
  readonly seed: number;
  readonly stormMs: number;
  readonly cluster: Cluster;
  readonly postgres: PrivatePostgres;
  readonly network: FaultyNetwork;
  readonly disks: SmallDisks | null;
  readonly journals: Journals;
  readonly clients: readonly HeadroomClient[];
}

async function weather(ground: Ground): Promise<Omit<Outcome, "leftOut">> {
  const { seed, stormMs, cluster, postgres, network, disks, journals, clients } = ground;
  const startedMs = performance.now();
  const random = new SeededRandom(seed + 1);
  const loadEnds = new AbortController();
  const load = submitPlans({ cluster, clients, random, signal: loadEnds.signal, openTasks });
  // It is waited for below; a fault of its own must not end the program before.
  load.catch(() => undefined);
  const report = await storm({ seed, durationMs: stormMs, cluster, postgres, network, disks });
  loadEnds.abort();
  const problems = [...report.problems];
  const { loaded, calm } = await settle(ground, load, random, problems);
  const facts: Facts = {
    ...(await readFacts(cluster.sql)),
    runs: journals.runs(),
    accepted: [...loaded.accepted, ...calm.accepted],
    isOver: true,
    outages: report.outages,
    stalls: report.stalls,
  };
  problems.push(...violationLines(findViolations(facts, { waitBoundMs })), ...calmProblems(facts, calm.fromMs));
  for (const attemptId of unjournalled(facts, cluster.ledger.lines()))
    problems.push(`attempt ${attemptId} ran and stands in no journal`);
  return {
    seed,
    seconds: Math.round((performance.now() - startedMs) / 1_000),
    plans: facts.accepted.length,
    tasks: facts.tasks.length,
    attempts: facts.attempts.length,
    commands: cluster.ledger.lines().filter(({ what }) => what === "start").length,
    repeatedCalls: loaded.repeated,
    refusedForDisk: cluster.agents.flatMap((agent) => agent.log().match(/"reason":"JOURNAL_FAILED"/g) ?? []).length,
    faults: report.faults,
    problems,
    keptIn: problems.length === 0 ? null : keep(ground, report, facts, problems),
  };
}

interface Settled {
  readonly loaded: LoadReport;
  readonly calm: { readonly fromMs: number; readonly accepted: readonly AcceptedFact[] };
}

/** Everything ends, and then a little more work, which nothing disturbs. */
async function settle(
  { cluster }: Ground,
  load: Promise<LoadReport>,
  random: SeededRandom,
  problems: string[],
): Promise<Settled> {
  const accepted: AcceptedFact[] = [];
  let loaded: LoadReport = { accepted: [], cancelled: 0, repeated: 0 };
  let fromMs = Date.now();
  try {
    await cluster.ready({ timeoutMs: settleMs });
    loaded = await load;
    await allEnded(cluster);
    fromMs = Date.now();
    for (let number = 1; number <= calmPlans; number += 1) {
      const plan = calmPlan(cluster, random, number);
      const { planId } = must(await cluster.client.plans.dispatch(plan));
      accepted.push({ planId, tasks: plan.tasks?.length ?? 0 });
    }
    await allEnded(cluster);
    await nothingPromised(cluster);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  return { loaded, calm: { fromMs, accepted } };
}

async function allEnded(cluster: Cluster): Promise<void> {
  let open = "unknown";
  await waitFor(
    async () => {
      const rows = await cluster.sql<{ name: string; state: string }>(
        `SELECT name, state FROM orchestrator.tasks WHERE state NOT IN ('succeeded', 'failed', 'cancelled') LIMIT 20`,
      );
      open = rows.map(({ name, state }) => `${name} ${state}`).join(", ");
      return rows.length === 0;
    },
    { timeoutMs: settleMs, describe: () => `everything to end; open: ${open}\n${cluster.logs()}` },
  );
}

/** V12 for what came when nothing was wrong any more: no outage excuses that it waits. */
function calmProblems(facts: Facts, fromMs: number): readonly string[] {
  const changes = facts.changes.filter(({ row, atMs }) => row !== "pause" || atMs >= fromMs);
  return violationLines(checkWaiting({ ...facts, changes, outages: [] }, waitBoundMs)).map(
    (line) => `${line}, while nothing was wrong`,
  );
}

/** A command writes itself into the ledger; whatever stands there, its agent must have journalled before. */
function unjournalled({ runs }: Facts, lines: readonly { readonly attemptId: string }[]): readonly string[] {
  const journalled = new Set(runs.map(({ attemptId }) => attemptId));
  return [...new Set(lines.map(({ attemptId }) => attemptId))].filter((attemptId) => !journalled.has(attemptId));
}

function makeDisks(): SmallDisks {
  const disks = createSmallDisks();
  disks.make(database, diskMib[database]);
  for (let n = 1; n <= members.registries; n += 1) disks.make(`registry-${n}`, diskMib.service);
  for (let n = 1; n <= members.orchestrators; n += 1) disks.make(`orchestrator-${n}`, diskMib.service);
  for (let n = 1; n <= members.agents; n += 1) disks.make(`agent-${n}`, diskMib.agent);
  return disks;
}

/** Work planners, each with a faulty way of its own to all orchestrators. */
async function plannersOf(cluster: Cluster, network: FaultyNetwork): Promise<readonly HeadroomClient[]> {
  const replicas = (members: readonly { readonly name: string; readonly grpcAddress: string }[]) =>
    members.map(({ name, grpcAddress }) => ({ name, address: grpcAddress }));
  const clients: HeadroomClient[] = [];
  for (let n = 1; n <= planners; n += 1) {
    const registry = await network.toService(`planner-${n}`, replicas(cluster.registries));
    const orchestrator = await network.toService(`planner-${n}`, replicas(cluster.orchestrators));
    const { tokenFile } = cluster;
    clients.push(
      createHeadroomClient({ registry, orchestrator, tokenFile, userAgent: "headroom-planner" }, { env: {} }),
    );
  }
  return clients;
}

/** Everything that helps to understand, in a folder that stays. */
function keep({ seed, cluster }: Ground, report: StormReport, facts: Facts, problems: readonly string[]): string {
  const dir = join(tmpdir(), `headroom-processes-${seed}-${Date.now()}`);
  mkdirSync(dir);
  for (const member of [...cluster.registries, ...cluster.orchestrators, ...cluster.agents])
    cpSync(member.dataDir, join(dir, member.name), { recursive: true });
  cpSync(cluster.dir, join(dir, "cluster"), { recursive: true });
  writeFileSync(join(dir, "story"), `${report.story.join("\n")}\n\n${problems.join("\n")}\n`);
  writeFileSync(join(dir, "facts.json"), JSON.stringify(facts));
  return dir;
}
