/** `npm run prove:processes -- [--runs N] [--minutes M] [--seed S] [--seconds T]`: see docs/reliability.md. */
import { parseArgs } from "node:util";
import { wholeNumber } from "../support/whole-number.ts";
import { closeAllGrounds } from "./ground.ts";
import { type Outcome, runUnderFaults } from "./one-run.ts";

interface Asked {
  readonly runs: number;
  readonly firstSeed: number;
  readonly stormMs: number;
  readonly untilMs: number;
}

function readArguments(): Asked {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "10" },
      minutes: { type: "string" },
      seed: { type: "string" },
      seconds: { type: "string", default: "45" },
    },
  });
  return {
    runs: wholeNumber("runs", values.runs, 1),
    firstSeed: values.seed === undefined ? Date.now() % 1_000_000 : wholeNumber("seed", values.seed, 0),
    stormMs: wholeNumber("seconds", values.seconds, 1) * 1_000,
    untilMs: values.minutes === undefined ? Infinity : Date.now() + wholeNumber("minutes", values.minutes, 1) * 60_000,
  };
}

/** Printed as the last line, as JSON. */
function summaryOf(outcomes: readonly Outcome[]): Record<string, unknown> {
  const sum = (of: (outcome: Outcome) => number): number => outcomes.reduce((total, one) => total + of(one), 0);
  return {
    runs: outcomes.length,
    passed: outcomes.filter(({ problems }) => problems.length === 0).length,
    seconds: sum(({ seconds }) => seconds),
    plans: sum(({ plans }) => plans),
    tasks: sum(({ tasks }) => tasks),
    attempts: sum(({ attempts }) => attempts),
    commands: sum(({ commands }) => commands),
    repeated_calls: sum(({ repeatedCalls }) => repeatedCalls),
    refused_for_full_disk: sum(({ refusedForDisk }) => refusedForDisk),
    network: "TCP proxies between all processes",
    faults: added(outcomes.map(({ faults }) => faults)),
    kills: added(outcomes.map(({ kills }) => kills)),
    left_out: [...new Set(outcomes.flatMap(({ leftOut }) => leftOut))],
    violations: sum(({ problems }) => problems.length),
  };
}

function added(figures: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const [name, figure] of figures.flatMap((each) => Object.entries(each))) sums[name] = (sums[name] ?? 0) + figure;
  return sums;
}

function tell({ seed, seconds, plans, tasks, commands, faults, problems, keptIn, leftOut }: Outcome): void {
  const count = Object.values(faults).reduce((total, times) => total + times, 0);
  const verdict = problems.length === 0 ? "passed" : "FAILED";
  console.log(
    `seed ${seed} ${verdict}: ${seconds} s, ${plans} plans, ${tasks} tasks, ${commands} commands, ${count} faults of ${Object.keys(faults).length} kinds`,
  );
  for (const reason of leftOut) console.log(`  left out: ${reason}`);
  for (const problem of problems) console.log(`  ${problem}`);
  if (keptIn !== null) console.log(`  logs, journals, facts and what was done when: ${keptIn}`);
}

async function main(): Promise<void> {
  const { runs, firstSeed, stormMs, untilMs } = readArguments();
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)
    process.once(signal, () => void closeAllGrounds().finally(() => process.exit(code)));
  console.log(
    `seeds from ${firstSeed} on, storms of ${stormMs / 1_000} s, the network is broken by TCP proxies between all processes`,
  );
  const outcomes: Outcome[] = [];
  for (let seed = firstSeed; seed < firstSeed + runs && Date.now() < untilMs; seed += 1) {
    const outcome = await runUnderFaults({ seed, stormMs });
    outcomes.push(outcome);
    tell(outcome);
  }
  console.log(JSON.stringify(summaryOf(outcomes)));
  process.exitCode = outcomes.every(({ problems }) => problems.length === 0) ? 0 : 1;
}

await main();
