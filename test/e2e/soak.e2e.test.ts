import { SeededRandom, startPrivatePostgres, waitFor } from "@headroom/testing";
import { expect, it, vi } from "vitest";
import { assertNoViolations } from "../support/invariants/assert.ts";
import type { Facts } from "../support/invariants/facts.ts";
import { readFacts } from "../support/invariants/read-facts.ts";
import { installRecorder } from "../support/invariants/recorder.ts";
import { groupBy } from "../support/invariants/timeline.ts";
import { makeChaos } from "./support/chaos.ts";
import { startCluster } from "./support/cluster.ts";
import { nothingPromised } from "./support/facts.ts";
import { followJournals } from "./support/journals.ts";
import { submitPlans } from "./support/soak-load.ts";
import { sqlOn } from "./support/sql.ts";

/** HEADROOM_SOAK_SECONDS makes it long; HEADROOM_TEST_SEED repeats the choices of a run (not its timing). */
const chaosMs = Number(process.env["HEADROOM_SOAK_SECONDS"] ?? 30) * 1_000;
const seed = Number(process.env["HEADROOM_TEST_SEED"] ?? Date.now() % 1_000_000);
/** What is open at the end has to get through, some of it after backoffs, and a delivery that failed keeps its agent out for 30 s. */
const settleMs = 150_000;
/** An agent to which a delivery failed is avoided for 30 s, and the poll, claims and errors have their own seconds. */
const waitBoundMs = 45_000;

vi.setConfig({ testTimeout: chaosMs + settleMs + 60_000 });

it("DESIGN 5, R-PAUSE-8: three orchestrators killed and frozen at random under load, PostgreSQL restarted: every invariant holds", async () => {
  const random = new SeededRandom(seed);
  const postgres = await startPrivatePostgres();
  const sql = sqlOn(postgres.connectionString);
  const cluster = await startCluster({
    label: "soak",
    database: { connectionString: postgres.connectionString, sql },
    orchestrators: 3,
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
    },
  });
  const journals = followJournals(cluster.agents);
  try {
    await installRecorder(sql);
    const loadEnds = new AbortController();
    const load = submitPlans(cluster, new SeededRandom(seed + 1), { signal: loadEnds.signal, openTasks: 60 });
    const report = await makeChaos({
      cluster,
      postgres,
      random,
      durationMs: chaosMs,
      frozenMs: 4_000,
      databaseRestarts: Math.max(1, Math.round(chaosMs / 30_000)),
    });
    loadEnds.abort();
    await cluster.ready({ timeoutMs: 60_000 });
    const { accepted, cancelled, repeated } = await load;
    let open = "unknown";
    await waitFor(
      async () => {
        const rows = await sql<{ name: string; state: string }>(
          `SELECT name, state FROM orchestrator.tasks WHERE state NOT IN ('succeeded', 'failed', 'cancelled') LIMIT 20`,
        );
        open = rows.map(({ name, state }) => `${name} ${state}`).join(", ");
        return rows.length === 0;
      },
      { timeoutMs: settleMs, describe: () => `everything to end; open: ${open}\n${cluster.logs()}` },
    );
    await nothingPromised(cluster);
    const facts: Facts = {
      ...(await readFacts(sql)),
      runs: journals.runs(),
      accepted,
      isOver: true,
      outages: [],
    };
    const states = groupBy(facts.tasks, ({ state }) => state);
    console.log(
      JSON.stringify({
        soak: { seed, seconds: chaosMs / 1_000, ...report, plans: accepted.length, cancelled, repeated },
        tasks: Object.fromEntries([...states].map(([state, tasks]) => [state, tasks.length])),
        attempts: facts.attempts.length,
        runs: facts.runs.length,
        commands: cluster.ledger.lines().filter(({ what }) => what === "start").length,
        changes: facts.changes.length,
      }),
    );
    assertNoViolations(facts, { waitBoundMs });
    expect(unjournalled(facts, cluster.ledger.lines()), "commands that ran and stand in no journal").toEqual([]);
    expect(facts.tasks.length).toBeGreaterThan(20);
    expect(facts.runs.length).toBeGreaterThan(20);
  } catch (error) {
    throw new Error(`HEADROOM_TEST_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    journals.close();
    await cluster.stop();
    await postgres.remove();
  }
});

/** A command writes itself into the ledger; whatever stands there, its agent must have journalled before. */
function unjournalled({ runs }: Facts, lines: readonly { readonly attemptId: string }[]): readonly string[] {
  const journalled = new Set(runs.map(({ attemptId }) => attemptId));
  return [...new Set(lines.map(({ attemptId }) => attemptId))].filter((attemptId) => !journalled.has(attemptId));
}
