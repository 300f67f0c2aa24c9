import { cpSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { classifyError } from "@headroom/postgres";
import { SeededRandom, waitFor } from "@headroom/testing";
import { type Cluster, startCluster } from "../e2e/support/cluster.ts";
import { nothingPromised } from "../e2e/support/facts.ts";
import { followJournals } from "../e2e/support/journals.ts";
import { submitPlans } from "../e2e/support/soak-load.ts";
import { sqlOn } from "../e2e/support/sql.ts";
import { findViolations, violationLines } from "../support/invariants/check.ts";
import type { Facts } from "../support/invariants/facts.ts";
import { readFacts } from "../support/invariants/read-facts.ts";
import { installRecorder } from "../support/invariants/recorder.ts";
import type { RunSql } from "../support/run-sql.ts";
import { watchOutages } from "./outage-watch.ts";
import { type PostgresCluster, startPostgresCluster } from "./postgres-cluster.ts";
import type { Programs } from "./programs.ts";
import { type Strike, strikePrimaries } from "./strikes.ts";
import { switchOver } from "./switchover.ts";

/** An agent to which a delivery failed is avoided for 30 s, and the poll, claims and errors have their own seconds. */
const waitBoundMs = 45_000;
/** What is open at the end has to get through, some of it after backoffs. */
const settleMs = 150_000;
/** A commit under load may take so long without anything being wrong. */
const outageFromMs = 400;
const openTasks = 40;
const patienceMs = 40_000;

export interface RunOptions {
  readonly programs: Programs;
  readonly seed: number;
  readonly strikes: number;
  /** Where logs and facts are kept when the run fails. */
  readonly keepIn: string;
}

/** What one strike meant to those who work with the database. */
export interface Outage {
  readonly strike: Strike;
  /** Without a primary that takes writes. */
  readonly awayMs: number;
  /** From the last commit of the old primary until Headroom gave work to an agent again, on the new primary; null: there was none left to give. */
  readonly untilWorkMs: number | null;
}

export interface RunReport {
  readonly seed: number;
  readonly seconds: number;
  /** Empty: passed. */
  readonly problems: readonly string[];
  readonly outages: readonly Outage[];
  readonly plans: number;
  readonly tasks: number;
  readonly attempts: number;
  readonly changes: number;
  /** Calls that had to be made again. */
  readonly repeated: number;
}

/** One PostgreSQL with failover, one Headroom on it, load, strikes; then everything has to end, and the checker has to find nothing. */
export async function runOnce(options: RunOptions): Promise<RunReport> {
  const startedMs = performance.now();
  const postgres = await startPostgresCluster(options.programs);
  try {
    const sql = patiently(sqlOn(postgres.connectionString));
    const cluster = await startCluster({
      label: "failover",
      startMs: 240_000,
      database: { connectionString: postgres.connectionString, sql },
      registries: 2,
      orchestrators: 2,
      agents: [
        { cpuCores: 4, memoryGb: 8, gpus: [{ model: "RTX 4090", vramGb: 24 }] },
        { cpuCores: 4, memoryGb: 4 },
        { cpuCores: 2, memoryGb: 4, gpus: [{ model: "RTX 3060", vramGb: 12 }] },
      ],
      env: {
        HEADROOM_LOG_LEVEL: "info",
        PAUSE_POLLING_INTERVAL_SECONDS: "2",
        PAUSE_ERROR_DELAY_SECONDS: "1",
        HEADROOM_CLAIM_LEASE_SECONDS: "2",
        // The machines declare what they have; the threshold would hold the last fifth of them back.
        PAUSE_CAPACITY_THRESHOLD_PERCENT: "0",
        // On a machine that does much else beats are late: agents on probation would keep the last tasks waiting for minutes.
        HEADROOM_FLAPS_TOLERATED: "50",
      },
    });
    try {
      const report = await strikeUnderLoad(options, postgres, cluster);
      if (report.problems.length > 0) keep(options, postgres, cluster);
      return { ...report, seconds: (performance.now() - startedMs) / 1_000 };
    } catch (error) {
      keep(options, postgres, cluster);
      throw error;
    } finally {
      await cluster.stop();
    }
  } finally {
    await postgres.stop();
  }
}

async function strikeUnderLoad(
  { programs, seed, strikes: count }: RunOptions,
  postgres: PostgresCluster,
  cluster: Cluster,
): Promise<RunReport> {
  const { sql } = cluster;
  const journals = followJournals(cluster.agents);
  try {
    await installRecorder(sql);
    const watch = await watchOutages(postgres.connectionString, sql);
    const loadEnds = new AbortController();
    const load = submitPlans(cluster, new SeededRandom(seed + 1), { signal: loadEnds.signal, openTasks });
    const strikes = await strikePrimaries({
      postgres,
      random: new SeededRandom(seed),
      count,
      switchOver: (from, to) => switchOver(programs.patronictl, from, to),
    }).finally(() => loadEnds.abort());
    const { accepted, repeated } = await load;
    const { committed, lost } = await watch.end(sql);
    await everythingEnds(cluster);
    const outages = watch.gaps(outageFromMs);
    const facts: Facts = { ...(await readFacts(sql)), runs: journals.runs(), accepted, isOver: true, outages };
    const problems = [
      ...lost.map((n) => `PostgreSQL itself lost write ${n} of ${committed} that it had called committed`),
      ...violationLines(findViolations(facts, { waitBoundMs })),
      ...commandsWithoutJournal(facts, cluster),
      ...endedByThemselves(cluster),
    ];
    return {
      seed,
      seconds: 0,
      problems,
      outages: strikes.map((strike, index) => outageOf(strike, strikes[index + 1]?.atMs ?? Infinity, facts)),
      plans: accepted.length,
      tasks: facts.tasks.length,
      attempts: facts.attempts.length,
      changes: facts.changes.length,
      repeated,
    };
  } finally {
    journals.close();
  }
}

async function everythingEnds(cluster: Cluster): Promise<void> {
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
  await nothingPromised(cluster);
}

/** R-PAUSE-9: a database that is away for a while ends no program; here nobody is told to end. */
function endedByThemselves({ registries, orchestrators, agents }: Cluster): readonly string[] {
  const all = [...registries, ...orchestrators, ...agents];
  return all.filter((program) => !program.isRunning()).map(({ name }) => `${name} ended by itself`);
}

/** A command writes itself into the ledger; whatever stands there, its agent must have journalled before. */
function commandsWithoutJournal({ runs }: Facts, { ledger }: Cluster): readonly string[] {
  const journalled = new Set(runs.map(({ attemptId }) => attemptId));
  const unknown = ledger.lines().filter(({ attemptId }) => !journalled.has(attemptId));
  return [...new Set(unknown.map(({ attemptId }) => `attempt ${attemptId} ran and stands in no journal`))];
}

function outageOf(strike: Strike, nextStrikeMs: number, { outages, changes }: Facts): Outage {
  const longest = outages
    .filter(({ toMs }) => toMs > strike.atMs && toMs <= nextStrikeMs)
    .sort((a, b) => b.toMs - b.fromMs - (a.toMs - a.fromMs))[0];
  // patronictl takes its time before it strikes.
  const { fromMs, toMs } = longest ?? { fromMs: strike.atMs, toMs: strike.atMs };
  const assigned = changes.find(
    (change) => change.row === "attempt" && change.state === "assigned" && change.atMs >= toMs,
  );
  return {
    strike,
    awayMs: toMs - fromMs,
    untilWorkMs: assigned === undefined ? null : assigned.atMs - fromMs,
  };
}

/** The checker's own statements wait for a primary too. */
function patiently(sql: RunSql): RunSql {
  return async <Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> => {
    const endsMs = performance.now() + patienceMs;
    for (;;) {
      try {
        return await sql<Row>(text, values);
      } catch (error) {
        if (classifyError(error).kind !== "unavailable" || performance.now() > endsMs) throw error;
        await pause(200);
      }
    }
  };
}

/** Everything that tells what happened: logs, journals, the output of every program. */
function keep({ keepIn }: RunOptions, postgres: PostgresCluster, cluster: Cluster): void {
  cpSync(cluster.dir, join(keepIn, "headroom"), { recursive: true, filter: (path) => !path.endsWith(".sock") });
  cpSync(postgres.folder, join(keepIn, "postgres"), {
    recursive: true,
    filter: (path) => !/\/data$|\/\.s\.PGSQL/.test(path),
  });
}
