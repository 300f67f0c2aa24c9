// `npm run simulate:faults -- --seeds N [--seed S]`: bundles the simulation and runs it. Exit code: 0 nothing was found, 1 something was.
import { join } from "node:path";
import { bundlePrograms } from "./bundle-programs.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { runBundled } from "./run-bundled.mjs";

ensureInstalled();
const bundle = await bundlePrograms("simulation", [
  "test/simulation/simulate-main.ts",
  "test/simulation/worker-main.ts",
]);
let code = 1;
try {
  code = await runBundled(join(bundle.outdir, "simulate-main.mjs"), process.argv.slice(2));
} finally {
  bundle.remove();
}
process.exit(code);
