import { SeededRandom } from "@headroom/testing";
import fc from "fast-check";
import { expect, it, vi } from "vitest";
import { assertNoViolations } from "../../support/invariants/assert.ts";
import { type Done, someCommands } from "./commands.ts";
import { createWorld, type World } from "./world.ts";

/** HEADROOM_MODEL_SECONDS makes it long; HEADROOM_TEST_SEED makes the same choices again (what happens between them may differ). */
const limitMs = Number(process.env["HEADROOM_MODEL_SECONDS"] ?? 45) * 1_000;
const seed = Number(process.env["HEADROOM_TEST_SEED"] ?? Date.now() % 1_000_000);
/** With an agent cut off, a delivery to it fails, and it is avoided for 30 s. */
const waitBoundMs = 45_000;

vi.setConfig({ testTimeout: limitMs + 240_000, hookTimeout: 120_000 });

it("DESIGN 5, R-PAUSE-8: whatever happens to orchestrators and agents, every invariant holds", async () => {
  const world = await createWorld(new SeededRandom(seed));
  const done: Done = { log: [] };
  let series = 0;
  let commands = 0;
  let tasks = 0;
  let attempts = 0;
  let refused = 0;
  try {
    await fc.assert(
      fc.asyncProperty(someCommands, async (some) => {
        series += 1;
        done.log.length = 0;
        const setup = (): { model: Done; real: World } => ({ model: done, real: world });
        await fc.asyncModelRun(setup, some);
        commands += done.log.length;
        // Everything since the beginning: what a late message changes of an earlier series counts as well.
        const facts = await world.settle();
        tasks = facts.tasks.length;
        attempts = facts.attempts.length;
        refused = facts.events.filter(({ kind }) => kind === "TASK_RESULT_REFUSED").length;
        assertNoViolations(facts, { waitBoundMs });
      }),
      {
        seed,
        numRuns: 10_000,
        interruptAfterTimeLimit: limitMs,
        markInterruptAsFailure: false,
        // The world goes on from series to series: a shorter series would not begin where this one began.
        endOnFailure: true,
      },
    );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`HEADROOM_TEST_SEED=${seed}, series ${series}:\n${done.log.join("\n")}\n${why}`, { cause: error });
  } finally {
    await world.close();
  }
  console.log(JSON.stringify({ model: { seed, series, commands, tasks, attempts, refused } }));
  expect(series).toBeGreaterThan(1);
  expect(attempts).toBeGreaterThan(5);
});
