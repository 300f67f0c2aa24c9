import { expect, it, vi } from "vitest";
import { runUnderFaults } from "../processes/one-run.ts";

/** HEADROOM_SOAK_SECONDS makes it long; HEADROOM_TEST_SEED makes other choices (what happens between them is never the same). */
const stormMs = Number(process.env["HEADROOM_SOAK_SECONDS"] ?? 30) * 1_000;
const seed = Number(process.env["HEADROOM_TEST_SEED"] ?? 6);

// A storm, time for all to end, and a loaded machine.
vi.setConfig({ testTimeout: stormMs + 420_000 });

it("DESIGN 5, R-PAUSE-8: processes killed and frozen, PostgreSQL stopped, the network broken and disks full, under load: every invariant holds", async () => {
  const outcome = await runUnderFaults({ seed, stormMs });
  console.log(JSON.stringify({ ...outcome, problems: outcome.problems.length }));
  expect(outcome.problems, `HEADROOM_TEST_SEED=${seed}; ${outcome.keptIn}`).toEqual([]);
  expect(outcome.tasks).toBeGreaterThan(20);
  expect(outcome.commands).toBeGreaterThan(20);
  expect(Object.keys(outcome.faults).length).toBeGreaterThan(5);
  expect(outcome.faults["PostgreSQL stopped"]).toBeGreaterThan(0);
  for (const name of ["orchestrator-1", "orchestrator-2", "orchestrator-3"]) {
    expect(outcome.kills[name], `kills of ${name}`).toBeGreaterThan(0);
  }
});
