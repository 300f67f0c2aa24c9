// `npm run fuzz -- [--minutes M] [--seed S]`: bundles the fuzzer and runs it. Exit code: 0 nothing was found, 1 something was.
import { join } from "node:path";
import { bundlePrograms } from "./bundle-programs.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { runBundled } from "./run-bundled.mjs";

ensureInstalled();
// Two folders below the checkout, so that what finds its way by its own place finds it from the bundle too.
const bundle = await bundlePrograms("fuzz/run", ["test/fuzz/fuzz-main.ts"]);
let code = 1;
try {
  code = await runBundled(join(bundle.outdir, "fuzz-main.mjs"), process.argv.slice(2));
} finally {
  bundle.remove();
}
process.exit(code);
