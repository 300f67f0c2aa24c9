// `npm run simulate:mutations [-- --seeds N] [-- --only TEXT]`: puts one deliberate bug after the other into the bundle of the simulation, and
// looks whether it finds them. The last line is JSON. Exit code: 0 all were found, 1 one was not.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundlePrograms } from "./bundle-programs.mjs";
import { ensureInstalled, root } from "./ensure-installed.mjs";

ensureInstalled();
const { mutations } = await import("../test/simulation/mutations.mjs");
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "300" },
    seed: { type: "string", default: "1000001" },
    only: { type: "string", default: "" },
    jobs: { type: "string" },
  },
});

/** An esbuild plugin that changes the text of some files. */
function mutating(changes) {
  const left = new Map();
  for (const { file, from, to } of changes) {
    const path = join(root, file);
    const text = left.get(path) ?? readFileSync(path, "utf8");
    if (text.split(from).length !== 2) throw new Error(`${file} does not hold exactly once:\n${from}`);
    left.set(
      path,
      text.replace(from, () => to),
    );
  }
  return {
    name: "mutating",
    setup(builder) {
      builder.onLoad({ filter: /\.ts$/ }, ({ path }) =>
        left.has(path) ? { contents: left.get(path), loader: "ts" } : undefined,
      );
    },
  };
}

function run(file, args) {
  return new Promise((resolve, reject) => {
    const program = spawn(process.execPath, [file, ...args], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    program.stdout.on("data", (data) => (output += data));
    program.once("error", reject);
    program.once("exit", () => resolve(output));
  });
}

const report = [];
for (const { name, file, from, to, and } of mutations) {
  if (!name.includes(values.only)) continue;
  const changes = [{ file, from, to }, ...(and === undefined ? [] : [and].flat())];
  const bundle = await bundlePrograms(
    "mutation",
    ["test/simulation/simulate-main.ts", "test/simulation/worker-main.ts"],
    [mutating(changes)],
  );
  try {
    const args = ["--seeds", values.seeds, "--seed", values.seed, "--stop-at-first"];
    if (values.jobs !== undefined) args.push("--jobs", values.jobs);
    const output = await run(join(bundle.outdir, "simulate-main.mjs"), args);
    const seed = /^seed (\d+) failed/m.exec(output)?.[1];
    const invariant = /^ {2}(V\d+|not everything|the world broke)/m.exec(output)?.[1];
    const problem = /^ {2}(\S.*)$/m.exec(output)?.[1] ?? "";
    report.push({ name, found: seed !== undefined, seed: Number(seed ?? -1), invariant: invariant ?? "", problem });
    console.log(
      seed === undefined ? `NOT FOUND  ${name}` : `found      ${name}: seed ${seed}, ${problem.slice(0, 160)}`,
    );
  } finally {
    bundle.remove();
  }
}
const missed = report.filter(({ found }) => !found).map(({ name }) => name);
console.log(JSON.stringify({ mutations: report.length, found: report.length - missed.length, missed }));
process.exit(missed.length > 0 ? 1 : 0);
