// The contract's checks: lint, format, generated code up to date, and no breaking change against proto/baseline.binpb,
// the descriptor set of the last release (`npm run proto:baseline` renews it when a release is made).
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./ensure-installed.mjs";
import { writeProtoDeps } from "./proto-deps.mjs";

const baseline = join(root, "proto/baseline.binpb");
const run = (command, ...args) => {
  const result = spawnSync(process.execPath, [command, ...args], { cwd: root, stdio: "inherit" });
  if (result.status !== 0) process.exit(result.status ?? 1);
};
const buf = (...args) => run(join(root, "node_modules/@bufbuild/buf/bin/buf"), ...args);

/** One hash over all generated files, names included. */
function generatedHash() {
  const dir = join(root, "libs/contracts/src/gen");
  const hash = createHash("sha256");
  for (const file of readdirSync(dir, { recursive: true }).map(String).sort()) {
    if (file.endsWith(".ts")) hash.update(file).update(readFileSync(join(dir, file)));
  }
  return hash.digest("hex");
}

await writeProtoDeps();
if (process.argv.includes("--write-baseline")) {
  buf("build", "--as-file-descriptor-set", "--exclude-source-info", "-o", baseline);
  process.exit(0);
}
buf("lint");
buf("format", "--diff", "--exit-code", "proto");
if (!existsSync(baseline)) {
  console.error("proto/baseline.binpb is missing: nothing to compare the contract with");
  process.exit(1);
}
// Image against image: a workspace of two modules cannot be compared with one image.
const current = join(mkdtempSync(join(tmpdir(), "headroom-proto-")), "current.binpb");
buf("build", "--as-file-descriptor-set", "-o", current);
buf(
  "breaking",
  current,
  "--against",
  baseline,
  "--config",
  JSON.stringify({ version: "v2", breaking: { use: ["FILE"] } }),
);
const before = generatedHash();
run(join(root, "scripts/proto-generate.mjs"));
if (generatedHash() !== before) {
  console.error("libs/contracts/src/gen was not up to date; it is now: commit it");
  process.exit(1);
}
console.log("proto: lint, format, breaking change and generated code are fine");
