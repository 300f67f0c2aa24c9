/** `npm run simulate:faults -- --seeds N [--seed S] [--jobs J] [--shrink] [--minutes M] [--digests]`: see docs/reliability.md. */
import { writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { wholeNumber } from "../support/whole-number.ts";
import { makeSimulationDir, startSimulationServers, stopAll } from "./server.ts";
import { shrink } from "./shrink.ts";
import type { Outcome } from "./simulate.ts";
import type { Job } from "./worker-main.ts";
import { startWorkers } from "./workers.ts";

const shownLines = 60;
const toldEveryMs = 60_000;

interface Asked {
  readonly seeds: number;
  readonly first: number;
  readonly jobs: number;
  readonly shrinks: boolean;
  /** Prints of each world what tells it from any other: two runs of the same seeds on the same tree must say the same. */
  readonly tellsDigests: boolean;
  readonly untilMs: number;
  /** For mutation checks: the first failure ends the run. */
  readonly stopsAtFirst: boolean;
}

function readArguments(): Asked {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "100" },
      seed: { type: "string" },
      jobs: { type: "string" },
      minutes: { type: "string" },
      shrink: { type: "boolean", default: false },
      digests: { type: "boolean", default: false },
      "stop-at-first": { type: "boolean", default: false },
    },
  });
  return {
    seeds: wholeNumber("seeds", values.seeds, 1),
    first: values.seed === undefined ? Math.floor(Date.now() / 1_000) : wholeNumber("seed", values.seed, 0),
    jobs: wholeNumber("jobs", values.jobs ?? String(availableParallelism()), 1),
    shrinks: values.shrink,
    tellsDigests: values.digests,
    untilMs: values.minutes === undefined ? Infinity : Date.now() + wholeNumber("minutes", values.minutes, 1) * 60_000,
    stopsAtFirst: values["stop-at-first"],
  };
}

/** What a run of many seeds comes to; printed as its last line, as JSON. */
class Tally {
  readonly failed: Outcome[] = [];
  readonly #faults: Record<string, number> = {};
  #seeds = 0;
  #tasks = 0;
  #events = 0;
  #virtualMs = 0;

  add(outcome: Outcome): void {
    this.#seeds += 1;
    this.#tasks += outcome.tasks;
    this.#events += outcome.events;
    this.#virtualMs += outcome.virtualMs;
    for (const [kind, times] of Object.entries(outcome.faults)) this.#faults[kind] = (this.#faults[kind] ?? 0) + times;
    if (outcome.problems.length > 0) this.failed.push(outcome);
  }

  progress(asked: number): string {
    return `${this.#seeds} of ${asked} seeds, ${this.failed.length} failed`;
  }

  summary(startedMs: number): Record<string, unknown> {
    return {
      seeds: this.#seeds,
      failed: this.failed.map(({ seed }) => seed),
      tasks: this.#tasks,
      events: this.#events,
      simulated_hours: Number((this.#virtualMs / 3_600_000).toFixed(1)),
      faults: this.#faults,
      seconds: Math.round((Date.now() - startedMs) / 1_000),
    };
  }
}

function* seedsFrom(
  { first, seeds, untilMs, stopsAtFirst }: Asked,
  tally: Tally,
  { signal }: AbortController,
): Generator<Job> {
  for (let seed = first; seed < first + seeds; seed += 1) {
    if (signal.aborted || Date.now() > untilMs || (stopsAtFirst && tally.failed.length > 0)) return;
    yield { seed, faults: null };
  }
}

function writeTrace({ seed, trace }: Outcome): string {
  const file = join(tmpdir(), `headroom-simulation-${seed}.trace`);
  writeFileSync(file, `${trace.join("\n")}\n`);
  return file;
}

function tell(outcome: Outcome, how: string): void {
  const file = writeTrace(outcome);
  console.log(
    `\nseed ${outcome.seed} failed${how}; again: npm run simulate:faults -- --seed ${outcome.seed} --seeds 1`,
  );
  for (const problem of outcome.problems) console.log(`  ${problem}`);
  console.log(`  the last that happened (${file} has more):`);
  for (const line of outcome.trace.slice(-shownLines)) console.log(`    ${line}`);
}

async function main(): Promise<void> {
  const asked = readArguments();
  // Ctrl-C ends it with the worlds that run now, and tells what came of all.
  const stop = new AbortController();
  process.on("SIGINT", () => stop.abort());
  const startedMs = Date.now();
  const dir = await makeSimulationDir();
  const servers = await startSimulationServers(dir.path, Math.min(asked.jobs, asked.seeds));
  const workers = await startWorkers(servers.map(({ connectionString }) => connectionString));
  const tally = new Tally();
  const telling = setInterval(() => console.error(tally.progress(asked.seeds)), toldEveryMs);
  try {
    console.log(`seeds from ${asked.first} on`);
    await workers.run(seedsFrom(asked, tally, stop), (outcome) => {
      tally.add(outcome);
      if (asked.tellsDigests) console.log(`seed ${outcome.seed}: digest ${outcome.digest}, ${outcome.events} events`);
      if (outcome.problems.length > 0) tell(outcome, "");
      else if (outcome.trace.length > 0) console.log(`seed ${outcome.seed}: ${writeTrace(outcome)}`);
    });
    if (asked.shrinks) {
      for (const outcome of tally.failed) {
        const least = await shrink(outcome, workers);
        tell(least, ` with faults ${least.faultNumbers.join(", ")} alone`);
      }
    }
    console.log(JSON.stringify(tally.summary(startedMs)));
    process.exitCode = tally.failed.length > 0 ? 1 : 0;
  } finally {
    clearInterval(telling);
    workers.close();
    await stopAll(servers);
    await dir.remove();
  }
}

await main();
