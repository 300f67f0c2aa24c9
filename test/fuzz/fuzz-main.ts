/** `npm run fuzz -- [--minutes M] [--seed S] [--only PART,...] [--effort E]`: see docs/reliability.md. */
import { parseArgs } from "node:util";
import { startPrivatePostgres } from "@headroom/testing";
import { fuzz, type FuzzReport, phases } from "./fuzz.ts";

function readArguments(): { seed: number; minutes: number; effort: number; only?: readonly string[] } {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      minutes: { type: "string", default: "0" },
      effort: { type: "string", default: "1" },
      only: { type: "string" },
    },
  });
  const number = (name: string, text: string): number => {
    const value = Number(text);
    if (Number.isFinite(value) && value >= 0) return value;
    throw new Error(`--${name} must be a number of 0 or more, not "${text}"`);
  };
  const only = values.only?.split(",");
  const unknown = only?.filter((name) => !Object.hasOwn(phases, name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`--only knows ${Object.keys(phases).join(", ")}, and not ${unknown.join(", ")}`);
  return {
    seed: values.seed === undefined ? Math.floor(Date.now() / 1_000) : number("seed", values.seed),
    minutes: number("minutes", values.minutes),
    effort: number("effort", values.effort),
    ...(only !== undefined && { only }),
  };
}

function tell({ seed, rounds, tally, seconds }: FuzzReport): void {
  for (const { phase, what, again } of tally.findings) {
    console.error(`\n${phase}: ${what}${again === undefined ? "" : `\n  again: ${again}`}`);
  }
  const { cases, connections, answers, maxRssGrowthMib, peakRssMib, worstDelayMs, findings } = tally;
  console.log(
    JSON.stringify({
      seed,
      rounds,
      cases,
      connections,
      answers,
      max_rss_growth_mib: maxRssGrowthMib,
      peak_rss_mib: peakRssMib,
      worst_loop_delay_ms: worstDelayMs,
      seconds,
      findings: findings.map(({ phase, what }) => `${phase}: ${what.slice(0, 300)}`),
    }),
  );
}

const asked = readArguments();
console.error(`seed ${asked.seed}`);
const postgres = await startPrivatePostgres();
try {
  process.env["TEST_DATABASE_URL"] = postgres.connectionString;
  const report = await fuzz(asked);
  tell(report);
  process.exitCode = report.tally.findings.length > 0 ? 1 : 0;
} finally {
  await postgres.remove();
}
process.exit();
