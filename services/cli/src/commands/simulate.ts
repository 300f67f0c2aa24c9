import { sleep } from "@headroom/runtime";
import {
  DEFAULT_RULE_NAME,
  type Outcome,
  randomRule,
  RULES,
  type RuleMaker,
  simulate,
  TASK_CLASSES,
  type TaskClass,
} from "@headroom/scheduling";
import { type CommandContext, type Run } from "../context.ts";
import { CliError } from "../errors/cli-error.ts";
import { exitCodes } from "../exit-codes.ts";
import { nearest } from "../plan-file/suggest.ts";
import { played, readTrace, type Trace } from "../simulate/trace.ts";

export interface SimulateFlags {
  readonly nodes: string;
  readonly tasks: string;
  readonly policy?: readonly string[];
  readonly seed: number;
  readonly runs: number;
  readonly until: number;
  readonly threshold: number;
  readonly curve?: boolean;
}

/** What a policy came to, over all runs. */
interface Summary {
  readonly policy: string;
  readonly outcomes: readonly Outcome[];
}

export const RANDOM_POLICY = "random";
export const SIMULATED_POLICIES: readonly string[] = [RANDOM_POLICY, ...RULES.keys()];

/** `headroom simulate`: the placement code of the registry over a trace. */
export function simulatePlacement(flags: SimulateFlags): Run {
  return async (context) => {
    const names = flags.policy ?? [DEFAULT_RULE_NAME];
    for (const name of names) requirePolicy(name);
    const trace = await readTrace(context.io.cwd, flags.nodes, flags.tasks);
    const bar = progressBar(context, names.length * flags.runs);
    const summaries: Summary[] = [];
    for (const policy of names) {
      const outcomes: Outcome[] = [];
      for (let run = 0; run < flags.runs; run += 1) {
        outcomes.push(play(trace, policy, flags, flags.seed + run, (done) => bar.at(policy, done)));
        bar.ended();
        // Signals and the terminal get their turn.
        await sleep(context.io.ports.timers, 0);
      }
      summaries.push({ policy, outcomes });
    }
    bar.clear();
    if (context.isJson) printJson(context, flags, summaries);
    else printTables(context, flags, summaries);
    return exitCodes.done;
  };
}

function play(
  trace: Trace,
  policy: string,
  { until, threshold }: SimulateFlags,
  seed: number,
  onProgress: (done: number) => void,
): Outcome {
  const { machines, tasks } = played(trace, seed);
  return simulate(machines, tasks, ruleOf(policy, seed), {
    until,
    threshold,
    onProgress,
  });
}

function ruleOf(name: string, seed: number): RuleMaker {
  return RULES.get(name) ?? randomRule(seed);
}

function requirePolicy(name: string): void {
  if (SIMULATED_POLICIES.includes(name)) return;
  const meant = nearest(name, SIMULATED_POLICIES);
  throw new CliError({
    message: `no placement policy is called "${name}"`,
    reason: "UNKNOWN_POLICY",
    details: [`--policy: one of ${SIMULATED_POLICIES.join(", ")}`],
    ...(meant !== null && { wayOut: `did you mean ${meant}?` }),
  });
}

function printTables(context: CommandContext, flags: SimulateFlags, summaries: readonly Summary[]): void {
  context.printTable(
    ["POLICY", "ALLOCATED", "FRAGMENTED", "FAILED: SHARE", "ONE CARD", "SEVERAL CARDS", "CPU ONLY"],
    summaries.map(({ policy, outcomes }) => [
      policy,
      `${mean(outcomes, ({ allocatedPercent }) => allocatedPercent).toFixed(2)} %`,
      `${mean(outcomes, ({ fragmentedPercent }) => fragmentedPercent).toFixed(2)} %`,
      ...TASK_CLASSES.map((taskClass) => failures(outcomes, taskClass)),
    ]),
  );
  if (flags.curve === true) {
    context.io.stdout.write("\n");
    context.printTable(
      ["REQUESTED", ...summaries.map(({ policy }) => policy.toUpperCase())],
      curveRows(summaries).map(({ requestedPercent, allocated }) => [
        `${requestedPercent} %`,
        ...allocated.map((percent) => (percent === null ? "-" : percent.toFixed(2))),
      ]),
    );
  }
  const { seed, runs, until } = flags;
  const seeds = runs === 1 ? `seed ${seed}` : `mean of seeds ${seed} to ${seed + runs - 1}`;
  context.say(`VRAM allocated when ${Math.round(until * 100)} % of the fleet's has been asked for; ${seeds}`);
}

function failures(outcomes: readonly Outcome[], taskClass: TaskClass): string {
  const failed = mean(outcomes, (outcome) => outcome.failed[taskClass]);
  const arrived = mean(outcomes, (outcome) => outcome.arrived[taskClass]);
  return arrived === 0 ? "-" : `${Math.round(failed)} of ${Math.round(arrived)}`;
}

function curveRows(summaries: readonly Summary[]) {
  const percents = new Set(summaries.flatMap(({ outcomes }) => outcomes.flatMap(({ curve }) => curve.map(percentOf))));
  return [...percents]
    .sort((a, b) => a - b)
    .map((requestedPercent) => ({
      requestedPercent,
      allocated: summaries.map(({ outcomes }) => allocatedAt(outcomes, requestedPercent)),
    }));
}

const percentOf = ({ requestedPercent }: Outcome["curve"][number]): number => requestedPercent;

/** Mean over the runs that have a point there; null without any. */
function allocatedAt(outcomes: readonly Outcome[], percent: number): number | null {
  const points = outcomes.flatMap(({ curve }) => curve.filter((point) => point.requestedPercent === percent));
  if (points.length === 0) return null;
  return points.reduce((sum, { allocatedPercent }) => sum + allocatedPercent, 0) / points.length;
}

function printJson(context: CommandContext, flags: SimulateFlags, summaries: readonly Summary[]): void {
  const { seed, runs, until, threshold } = flags;
  const policies = summaries.map((summary, index) => ({
    policy: summary.policy,
    allocated_percent: mean(summary.outcomes, ({ allocatedPercent }) => allocatedPercent),
    fragmented_percent: mean(summary.outcomes, ({ fragmentedPercent }) => fragmentedPercent),
    allocated_percent_by_seed: summary.outcomes.map(({ allocatedPercent }) => allocatedPercent),
    failed: byClass(summary.outcomes, ({ failed }) => failed),
    arrived: byClass(summary.outcomes, ({ arrived }) => arrived),
    curve: curveRows(summaries).flatMap(({ requestedPercent, allocated }) => {
      const percent = allocated[index] ?? null;
      return percent === null ? [] : [{ requested_percent: requestedPercent, allocated_percent: percent }];
    }),
  }));
  context.io.stdout.write(`${JSON.stringify({ seed, runs, until, threshold, policies }, null, 2)}\n`);
}

const jsonNames: Readonly<Record<TaskClass, string>> = {
  share: "share",
  oneCard: "one_card",
  severalCards: "several_cards",
  cpuOnly: "cpu_only",
};

function byClass(outcomes: readonly Outcome[], countsOf: (outcome: Outcome) => Readonly<Record<TaskClass, number>>) {
  return Object.fromEntries(
    TASK_CLASSES.map((taskClass) => [jsonNames[taskClass], mean(outcomes, (outcome) => countsOf(outcome)[taskClass])]),
  );
}

function mean(outcomes: readonly Outcome[], valueOf: (outcome: Outcome) => number): number {
  return outcomes.reduce((sum, outcome) => sum + valueOf(outcome), 0) / outcomes.length;
}

const BAR_WIDTH = 24;

/** How far all runs are, on stderr, where that is a terminal. */
function progressBar({ io }: CommandContext, runs: number) {
  let ended = 0;
  let shownPercent = -1;
  const write = (text: string): void => {
    if (io.stderr.isTTY) io.stderr.write(text);
  };
  return {
    at(policy: string, done: number): void {
      const share = (ended + done) / runs;
      const percent = Math.floor(share * 100);
      if (percent === shownPercent) return;
      shownPercent = percent;
      const filled = Math.round(share * BAR_WIDTH);
      write(`\r\u001B[K${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${percent} %  ${policy}`);
    },
    ended(): void {
      ended += 1;
    },
    clear(): void {
      write("\r\u001B[K");
    },
  };
}
