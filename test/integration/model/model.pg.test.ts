import { SeededRandom } from "@headroom/testing";
import fc from "fast-check";
import { expect, it, vi } from "vitest";
import { assertNoViolations } from "../../support/invariants/assert.ts";
import type { Facts } from "../../support/invariants/facts.ts";
import { type Done, someCommands } from "./commands.ts";
import { createWorld } from "./world.ts";

/** HEADROOM_MODEL_SECONDS makes it long; HEADROOM_TEST_SEED makes the same choices again (what happens between them may differ). */
const limitMs = Number(process.env["HEADROOM_MODEL_SECONDS"] ?? 45) * 1_000;
const seed = Number(process.env["HEADROOM_TEST_SEED"] ?? Date.now() % 1_000_000);
/** With an agent cut off, a delivery to it fails, and it is avoided for 30 s. */
const waitBoundMs = 45_000;

vi.setConfig({ testTimeout: limitMs + 300_000, hookTimeout: 120_000 });

it("DESIGN 5, R-PAUSE-8: whatever happens to orchestrators and agents, every invariant holds", async () => {
  const world = await createWorld(new SeededRandom(seed));
  const done: Done = { log: [] };
  let series = 0;
  let commands = 0;
  let facts: Facts | null = null;
  try {
    // One series after another, so that none is cut short; each has a seed of its own.
    for (let begun = performance.now(); series === 0 || performance.now() - begun < limitMs; series += 1) {
      done.log.length = 0;
      await fc.assert(
        fc.asyncProperty(someCommands, async (some) => {
          await fc.asyncModelRun(() => ({ model: done, real: world }), some);
          // Everything since the beginning: what a late message changes of an earlier series counts as well.
          facts = await world.settle();
          assertNoViolations(facts, { waitBoundMs });
        }),
        // The world goes on from series to series: a shorter series would not begin where this one began.
        { seed: seed + series, numRuns: 1, endOnFailure: true },
      );
      commands += done.log.length;
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`HEADROOM_TEST_SEED=${seed + series}:\n${done.log.join("\n")}\n${why}`, { cause: error });
  } finally {
    await world.close();
  }
  const { tasks, attempts, events } = facts ?? { tasks: [], attempts: [], events: [] };
  const refused = events.filter(({ kind }) => kind === "TASK_RESULT_REFUSED").length;
  const figures = { seed, series, commands, tasks: tasks.length, attempts: attempts.length, refused };
  console.log(JSON.stringify({ model: figures }));
  expect(attempts.length).toBeGreaterThan(5);
});
