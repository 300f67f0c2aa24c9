import type { Outage, RunReport } from "./one-run.ts";

/** A run that came to its end, or one that broke off: of that only the problem is known. */
export type RunResult = Pick<RunReport, "seed" | "problems"> & Partial<RunReport>;

/** One line for a person. */
export function runLine({ seed, problems, ...report }: RunResult): string {
  const verdict = problems.length === 0 ? "passed" : `FAILED (${problems.length} problems)`;
  const outages = report.outages ?? [];
  const strikes = outages.map(
    ({ strike, awayMs, untilWorkMs }) =>
      `${strike.kind} ${strike.from} -> ${strike.to} away ${seconds(awayMs)} s, work after ${seconds(untilWorkMs)} s`,
  );
  const counts = `${report.plans ?? "?"} plans, ${report.tasks ?? "?"} tasks, ${report.attempts ?? "?"} attempts`;
  return `seed ${seed} ${verdict} in ${Math.round(report.seconds ?? 0)} s: ${counts}; ${strikes.join("; ")}`;
}

/** All runs in figures. */
export function summaryOf(results: readonly RunResult[]): Record<string, unknown> {
  const outages = results.flatMap((result) => result.outages ?? []);
  const sum = (of: (result: RunResult) => number | undefined): number =>
    results.reduce((total, result) => total + (of(result) ?? 0), 0);
  return {
    runs: results.length,
    passed: results.filter(({ problems }) => problems.length === 0).length,
    failed_seeds: results.filter(({ problems }) => problems.length > 0).map(({ seed }) => seed),
    strikes: countBy(outages, ({ strike }) => strike.kind),
    failovers: countBy(
      outages.filter(({ strike }) => strike.from !== strike.to),
      ({ strike }) => strike.kind,
    ),
    nodes_rebuilt: outages.filter(({ strike }) => strike.rebuilt !== null).length,
    plans: sum(({ plans }) => plans),
    tasks: sum(({ tasks }) => tasks),
    attempts: sum(({ attempts }) => attempts),
    changes: sum(({ changes }) => changes),
    calls_repeated: sum(({ repeated }) => repeated),
    without_primary_s: spread(outages.map(({ awayMs }) => awayMs)),
    until_work_s: spread(outages.flatMap(({ untilWorkMs }) => untilWorkMs ?? [])),
    problems: sum(({ problems }) => problems.length),
    seconds: Math.round(sum(({ seconds: took }) => took)),
  };
}

function countBy(outages: readonly Outage[], keyOf: (outage: Outage) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outage of outages) counts[keyOf(outage)] = (counts[keyOf(outage)] ?? 0) + 1;
  return counts;
}

function spread(timesMs: readonly number[]): Record<string, number | string> {
  const sorted = [...timesMs].sort((a, b) => a - b);
  return { p50: seconds(sorted[Math.floor(sorted.length / 2)]), max: seconds(sorted.at(-1)) };
}

function seconds(ms: number | null | undefined): number | string {
  return ms === null || ms === undefined ? "?" : Math.round(ms / 100) / 10;
}
