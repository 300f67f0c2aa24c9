/** `npm run prove:failover -- [--runs N] [--seed S] [--strikes K]`: see docs/reliability.md, "Failover of PostgreSQL". */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeTempDir } from "@headroom/testing";
import { wholeNumber } from "../support/whole-number.ts";
import { signalAllIn } from "./folder-processes.ts";
import { type RunOptions, runOnce } from "./one-run.ts";
import { findPrograms } from "./programs.ts";
import { runLine, type RunResult, summaryOf } from "./summary.ts";

interface Asked {
  readonly runs: number;
  readonly firstSeed: number;
  readonly strikes: number;
}

function readArguments(): Asked {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "1" },
      seed: { type: "string" },
      strikes: { type: "string", default: "3" },
    },
  });
  return {
    runs: wholeNumber("runs", values.runs, 1),
    firstSeed:
      values.seed === undefined ? Math.floor(Date.now() / 1_000) % 1_000_000 : wholeNumber("seed", values.seed, 0),
    strikes: wholeNumber("strikes", values.strikes, 1),
  };
}

/** Whatever way this program ends, nothing that it started goes on, and nothing of it is left. */
function leaveNothing(folder: string): void {
  process.once("exit", () => {
    signalAllIn(folder, "SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  });
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, () => process.exit(code));
  }
}

async function main(): Promise<number> {
  const asked = readArguments();
  const found = findPrograms();
  if (found.kind === "missing") {
    console.error(`prove:failover needs programs that are not there: apt-get install ${found.packages.join(" ")}`);
    return 2;
  }
  const keptAt = tmpdir();
  const { path: folder } = await makeTempDir("failover");
  // Whatever makes a temporary folder from here on makes it in there.
  process.env["TMPDIR"] = folder;
  leaveNothing(folder);
  const results: RunResult[] = [];
  for (let seed = asked.firstSeed; seed < asked.firstSeed + asked.runs; seed += 1) {
    const keepIn = join(keptAt, `headroom-failover-${seed}`);
    const result = await tryOnce({ programs: found.programs, seed, strikes: asked.strikes, keepIn });
    results.push(result);
    console.log(runLine(result));
    if (result.problems.length === 0) continue;
    for (const problem of result.problems) console.log(`  ${problem}`);
    console.log(`  logs, journals and facts: ${keepIn}; again: npm run prove:failover -- --seed ${seed}`);
  }
  console.log(JSON.stringify(summaryOf(results)));
  return results.every(({ problems }) => problems.length === 0) ? 0 : 1;
}

async function tryOnce(options: RunOptions): Promise<RunResult> {
  try {
    return await runOnce(options);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    mkdirSync(options.keepIn, { recursive: true });
    writeFileSync(join(options.keepIn, "error"), text);
    return { seed: options.seed, problems: [text] };
  }
}

process.exit(await main());
