/** `npm run bench -- NAME [--quick] [--report] [--runs=N]`: progress on stderr, one JSON line on stdout at the end. */
import { arch, cpus, platform, totalmem } from "node:os";
import { capacity } from "./capacity.ts";
import { dispatch } from "./dispatch.ts";
import { drain } from "./drain.ts";
import { heartbeat } from "./heartbeat.ts";
import { heartbeatMemory } from "./heartbeat-memory.ts";
import { heartbeatWrites } from "./heartbeat-writes.ts";
import { placement } from "./placement.ts";
import { replicas } from "./replicas.ts";
import { refuse } from "./refuse.ts";
import { reserve } from "./reserve.ts";
import { resumeLatency } from "./resume-latency.ts";
import { shapes } from "./shapes.ts";
import { storm } from "./storm.ts";
import type { Bench, BenchOptions, BenchResult } from "./support/bench.ts";
import { endPrograms } from "./support/programs.ts";
import { stopAll } from "./support/servers.ts";

const BENCHES: Readonly<Record<string, Bench>> = {
  heartbeat,
  "heartbeat-memory": heartbeatMemory,
  "heartbeat-writes": heartbeatWrites,
  capacity,
  refuse,
  placement,
  reserve,
  storm,
  "resume-latency": resumeLatency,
  drain,
  dispatch,
  replicas,
  shapes,
};

/** These measure many times within one run, and have no turns. */
const WITHOUT_RUNS: ReadonlySet<string> = new Set(["heartbeat-writes", "placement", "refuse", "resume-latency"]);

const USAGE = `npm run bench -- NAME [--quick] [--report] [--runs=N]
  NAME      ${Object.keys(BENCHES).join(", ")}
  --quick   a run of under 30 s with a small fleet: to see that it works, not to quote
  --report  exit code 0 also when the target is missed
  --runs=N  measures each side N times, and not five or three; not for ${[...WITHOUT_RUNS].join(", ")}`;

function machine(): object {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? "unknown",
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    os: `${platform()} ${arch()}`,
    node: process.versions.node,
  };
}

async function runBench(bench: Bench, options: BenchOptions): Promise<BenchResult> {
  try {
    return await bench(options);
  } finally {
    await stopAll();
    await endPrograms();
  }
}

const args = process.argv.slice(2);
const [name = "", ...others] = args.filter((arg) => !arg.startsWith("--"));
const flags = new Set(args.filter((arg) => arg.startsWith("--")));
const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
const isRuns = (flag: string): boolean => /^--runs=[1-9]\d?$/.test(flag);
const unknown = [...flags].filter(
  (flag) => flag !== "--quick" && flag !== "--report" && !(isRuns(flag) && !WITHOUT_RUNS.has(name)),
);

// The signal may come more than once: from the terminal and from the script that started this.
const endings = { SIGINT: 130, SIGTERM: 143 } as const;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => void stopAll().finally(() => process.exit(endings[signal])));
}

if (bench === undefined || others.length > 0 || unknown.length > 0) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  const quick = flags.has("--quick");
  const runsFlag = [...flags].find(isRuns);
  const runs = runsFlag === undefined ? null : Number(runsFlag.slice("--runs=".length));
  const result = await runBench(bench, { quick, runs });
  console.log(JSON.stringify({ ...result, quick, ...(runs !== null && { runs }), machine: machine() }));
  if (!result.reached && !flags.has("--report")) {
    console.error(`${name}: missed its target (${result.target})`);
    process.exitCode = 1;
  }
}
process.exit();
