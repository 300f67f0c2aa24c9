// Who may import whom, and which names stay inside libs/runtime. Reads every source file; fails loudly when it saw none.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Allowed imports among our packages. Tests may also import `testing`, and anything through its public entry. */
const ALLOWED = {
  scheduling: [],
  runtime: [],
  postgres: ["runtime"],
  contracts: ["scheduling"],
  rpc: ["runtime", "contracts"],
  client: ["contracts", "rpc", "runtime"],
  testing: ["runtime", "postgres", "scheduling", "contracts", "rpc"],
  registry: ["scheduling", "contracts", "rpc", "runtime", "postgres"],
  orchestrator: ["scheduling", "contracts", "rpc", "runtime", "postgres"],
  agent: ["scheduling", "contracts", "rpc", "runtime"],
  cli: ["scheduling", "contracts", "rpc", "runtime", "postgres", "client", "registry", "orchestrator", "agent"],
};

/** Time, timers and randomness are ports: only libs/runtime touches the real ones (DESIGN 1), so that everything runs in a simulation. */
const IMPURE = [
  [/\bDate\.now\b/, "Date.now"],
  [/\bnew Date\(\s*\)/, "new Date()"],
  [/\b(?:globalThis\.)?(?:setTimeout|setInterval|setImmediate)\b/, "a timer"],
  [/\bMath\.random\b/, "Math.random"],
  [/\brandomUUID\b/, "randomUUID"],
  [/\bperformance\.now\b/, "performance.now"],
  [/\bprocess\.hrtime\b/, "process.hrtime"],
  [/from "(?:node:)?timers(?:\/promises)?"/, "node:timers"],
];

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g;
const problems = [];
let filesSeen = 0;

/** Code without comments, so that prose may name what code may not. */
const withoutComments = (text) => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/.*$/gm, "$1");

function checkFile(path, pkg) {
  filesSeen += 1;
  const name = relative(root, path).split(sep).join("/");
  const isTest = /\.test(-helper)?\.ts$/.test(name);
  const code = withoutComments(readFileSync(path, "utf8"));
  for (const [, target] of code.matchAll(IMPORT)) {
    const ours = /^@headroom\/([a-z]+)(\/.*)?$/.exec(target);
    if (ours) {
      const [, other, deep] = ours;
      if (deep) problems.push(`${name}: imports ${target}; use the entry @headroom/${other}`);
      if (isTest || other === pkg) continue;
      if (!ALLOWED[pkg].includes(other)) problems.push(`${name}: ${pkg} may not import ${other}`);
    } else if (!target.startsWith(".") && pkg === "scheduling" && !isTest) {
      problems.push(`${name}: scheduling is pure and imports nothing, not ${target}`);
    } else if (target.startsWith(".") && relative(join(root), join(dirname(path), target)).split(sep)[1] !== pkg) {
      problems.push(`${name}: reaches into another package with ${target}`);
    }
  }
  if (isTest || pkg === "runtime" || pkg === "testing") return;
  for (const [pattern, what] of IMPURE) {
    const found = pattern.exec(code);
    if (found) problems.push(`${name}: uses ${what}; take it from the ports of @headroom/runtime`);
  }
}

for (const group of ["libs", "services"]) {
  for (const pkg of readdirSync(join(root, group))) {
    if (!Object.hasOwn(ALLOWED, pkg))
      problems.push(`${group}/${pkg}: unknown package; say in scripts/check-architecture.mjs what it may import`);
    for (const entry of readdirSync(join(root, group, pkg, "src"), { recursive: true })) {
      const file = String(entry);
      if (!file.endsWith(".ts") || file.split(sep).includes("gen")) continue;
      checkFile(join(root, group, pkg, "src", file), pkg);
    }
  }
}

if (filesSeen < 50) problems.push(`only ${filesSeen} files seen: the check is looking in the wrong place`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`architecture: ${filesSeen} files, no problem`);
