import { SeededRandom, waitFor } from "@headroom/testing";
import type { Cluster } from "../e2e/support/cluster.ts";
import { nothingPromised } from "../e2e/support/facts.ts";
import { must } from "../e2e/support/results.ts";
import { calmPlan, type LoadReport, submitPlans } from "../e2e/support/soak-load.ts";
import { findViolations, violationLines } from "../support/invariants/check.ts";
import { checkWaiting } from "../support/invariants/check-waiting.ts";
import type { AcceptedFact, Facts } from "../support/invariants/facts.ts";
import { readFacts } from "../support/invariants/read-facts.ts";
import { type Ground, prepareGround } from "./ground.ts";
import { keepEvidence } from "./keep-evidence.ts";
import { storm } from "./storm.ts";
import { withWitnessedEnds } from "./witnessed-ends.ts";

export interface RunOptions {
  readonly seed: number;
  /** For how long bad things happen. */
  readonly stormMs: number;
}

/** What came of one run. */
export interface Outcome {
  readonly seed: number;
  /** From the first fault to the last look, the start of the processes not counted. */
  readonly seconds: number;
  readonly plans: number;
  readonly tasks: number;
  readonly attempts: number;
  /** Processes of tasks that really ran. */
  readonly commands: number;
  /** Calls of planners that had to be made again. */
  readonly repeatedCalls: number;
  /** Work that agents refused because their disk was full. */
  readonly refusedForDisk: number;
  readonly faults: Readonly<Record<string, number>>;
  /** How often each process was killed, by its name. */
  readonly kills: Readonly<Record<string, number>>;
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
/** The usual five minutes are long for a run of one. */
const workLeaseSeconds = 15;
const calmPlans = 3;

/** Starts a cluster of processes, breaks it under load, lets everything end, and looks for what must not be. */
export async function runUnderFaults(options: RunOptions): Promise<Outcome> {
  const ground = await prepareGround();
  try {
    return await breakAndCheck(ground, options);
  } finally {
    await ground.close();
  }
}

async function breakAndCheck(ground: Ground, { seed, stormMs }: RunOptions): Promise<Outcome> {
  const { cluster, journals, planners, leftOut } = ground;
  const startedMs = performance.now();
  const random = new SeededRandom(seed + 1);
  const [stops, givesUp] = [new AbortController(), new AbortController()];
  const load = submitPlans(cluster, random, {
    clients: planners,
    openTasks,
    workLeaseSeconds,
    signal: stops.signal,
    givesUp: givesUp.signal,
  });
  // It is waited for below; a fault of its own must not end the program before.
  load.catch(() => undefined);
  const report = await storm({ ...ground, seed, durationMs: stormMs });
  stops.abort();
  const problems = [...report.problems];
  const { loaded, calm } = await settle(cluster, load, random, problems);
  givesUp.abort();
  const disksWereFull = report.faults["disk full, agent"] !== undefined;
  const stored = await readFacts(cluster.sql);
  const runs = journals.runs();
  const facts: Facts = {
    ...stored,
    runs: disksWereFull ? withWitnessedEnds(runs, stored.attempts, cluster.ledger.lines()) : runs,
    accepted: [...loaded.accepted, ...calm.accepted],
    isOver: true,
    outages: report.outages,
    stalls: report.stalls,
  };
  problems.push(...violationLines(findViolations(facts, { waitBoundMs })), ...calmProblems(facts, calm.fromMs));
  problems.push(...unjournalled(facts, cluster.ledger.lines()), ...endedByThemselves(cluster));
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
    kills: report.kills,
    leftOut,
    problems,
    keptIn: problems.length === 0 ? null : keepEvidence(cluster, { seed, story: report.story, facts, problems }),
  };
}

/** After the storm nobody is told to end. */
function endedByThemselves({ registries, orchestrators, agents }: Cluster): readonly string[] {
  const all = [...registries, ...orchestrators, ...agents];
  return all.filter((program) => !program.isRunning()).map(({ name }) => `${name} ended by itself after the storm`);
}

interface Settled {
  readonly loaded: LoadReport;
  readonly calm: { readonly fromMs: number; readonly accepted: readonly AcceptedFact[] };
}

/** Everything ends, and then a little more work, which nothing disturbs. */
async function settle(
  cluster: Cluster,
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
      accepted.push({ planId, tasks: plan.tasks?.length ?? 0, name: plan.name, mustSucceed: true });
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
  return [...new Set(lines.map(({ attemptId }) => attemptId))]
    .filter((attemptId) => !journalled.has(attemptId))
    .map((attemptId) => `attempt ${attemptId} ran and stands in no journal`);
}
