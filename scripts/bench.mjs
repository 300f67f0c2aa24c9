// `npm run bench -- NAME [--quick]`: bundles the bench and its programs as production is bundled, and runs it.
// Exit code: 0 reached, 1 missed its target (not with --report), 2 wrong arguments.
import { join } from "node:path";
import { bundlePrograms } from "./bundle-programs.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { runBundled } from "./run-bundled.mjs";

ensureInstalled();
const PROGRAMS = [
  "registry-main",
  "orchestrator-main",
  "bare-main",
  "agents-main",
  "workers-main",
  "callers-main",
  "raw-sql-main",
  "raw-queue-main",
  "peers-main",
];
const bundle = await bundlePrograms("bench", [
  "test/bench/bench-main.ts",
  ...PROGRAMS.map((name) => `test/bench/programs/${name}.ts`),
]);
let code = 1;
try {
  code = await runBundled(join(bundle.outdir, "bench-main.mjs"), process.argv.slice(2));
} finally {
  bundle.remove();
}
process.exit(code);
