// `npm run prove:failover -- [--runs N] [--seed S] [--strikes K]`: builds what is tried, bundles the trial and runs it.
// Exit code: 0 nothing was found, 1 something was, 2 a program is missing.
import { join } from "node:path";
import { build } from "./build.mjs";
import { bundlePrograms } from "./bundle-programs.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { runBundled } from "./run-bundled.mjs";

ensureInstalled();
await build();
// As deep as test/failover lies: what it shares with the other tests finds the checkout from there.
const bundle = await bundlePrograms("proofs/failover", ["test/failover/failover-main.ts"]);
let code = 1;
try {
  code = await runBundled(join(bundle.outdir, "failover-main.mjs"), process.argv.slice(2));
} finally {
  bundle.remove();
}
process.exit(code);
