// `npm run prove:processes -- [--runs N] [--seed S]`: real processes under faults. Exit code: 0 nothing was found, 1 something was.
import { join } from "node:path";
import { bundlePrograms } from "./bundle-programs.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { runBundled } from "./run-bundled.mjs";

ensureInstalled();
const bundle = await bundlePrograms("processes", ["test/processes/prove-main.ts"]);
let code = 1;
try {
  code = await runBundled(join(bundle.outdir, "prove-main.mjs"), process.argv.slice(2));
} finally {
  bundle.remove();
}
process.exit(code);
