// Packs the check of real NVIDIA cards (test/device/nvidia-main.ts) into .device/, with this Node and koffi, for a machine that has a
// card and nothing else of ours: copy the folder there and run `sh .device/run.sh`. With --run it is run here.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./ensure-installed.mjs";

const target = join(root, ".device");
rmSync(target, { recursive: true, force: true });
mkdirSync(join(target, "node_modules/@koromix"), { recursive: true });

const { build } = await import("esbuild");
await build({
  entryPoints: [join(root, "test/device/nvidia-main.ts")],
  outfile: join(target, "check.mjs"),
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20.19",
  external: ["koffi"],
  legalComments: "none",
  banner: {
    js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
  },
});
const native = `koffi-${process.platform}-${process.arch}`;
cpSync(join(root, "node_modules/@koromix", native), join(target, "node_modules/@koromix", native), { recursive: true });
const skipped = /koffi[\\/](vendor|doc)([\\/]|$)/;
cpSync(join(root, "node_modules/koffi"), join(target, "node_modules/koffi"), {
  recursive: true,
  filter: (path) => !skipped.test(path),
});
// Node itself is larger than what some machines take at once; packed it is a third of that.
execFileSync("sh", ["-c", `gzip -9 -c "$0" > "$1"`, process.execPath, join(target, "node.gz")]);
const script = join(target, "run.sh");
writeFileSync(
  script,
  `#!/bin/sh
# Checks the NVIDIA cards of this machine; prints JSON.
set -e
cd "$(dirname "$0")"
test -x ./node || { gzip -dc node.gz > node && chmod +x node; }
exec ./node check.mjs
`,
);
chmodSync(script, 0o755);
if (process.argv.includes("--run")) execFileSync("sh", [script], { stdio: "inherit" });
else console.log("packed into .device/: copy that folder to a machine with a card, and run: sh .device/run.sh");
