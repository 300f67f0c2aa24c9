// `npm test`: the whole suite. Arguments go to vitest (`npm test -- libs/scheduling`). Ends with `N passed, N failed`.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ensureInstalled, root } from "./ensure-installed.mjs";

ensureInstalled();
// The end-to-end tests start the built command.
const { build } = await import("./build.mjs");
await build();
// One of them reads the .proto files as a client without our code does, with what they import.
const { writeProtoDeps } = await import("./proto-deps.mjs");
await writeProtoDeps();
const result = spawnSync(
  process.execPath,
  [join(root, "node_modules/vitest/vitest.mjs"), "run", ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: "inherit",
  },
);
process.exit(result.status ?? 1);
