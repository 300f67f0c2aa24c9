// `npm run bench -- NAME [--quick]`: bundles the bench and its programs as production is bundled, and runs it.
// Exit code: 0 reached, 1 missed its target (not with --report), 2 wrong arguments.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled, root } from "./ensure-installed.mjs";

ensureInstalled();
const { build } = await import("esbuild");

const npmPackagesStayOutside = {
  name: "npm-packages-stay-outside",
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === "entry-point" || path.startsWith("@headroom/") ? undefined : { path, external: true },
    );
  },
};

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
// Inside the checkout, from where npm packages are found.
const outdir = join(root, `dist/bench-${process.pid}`);
mkdirSync(outdir, { recursive: true });
const endings = { SIGINT: 130, SIGTERM: 143 };
let code = 1;
try {
  await build({
    entryPoints: [
      join(root, "test/bench/bench-main.ts"),
      ...PROGRAMS.map((name) => join(root, `test/bench/programs/${name}.ts`)),
    ],
    outdir,
    entryNames: "[name]",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20.19",
    sourcemap: "inline",
    sourcesContent: false,
    logLevel: "warning",
    plugins: [npmPackagesStayOutside],
  });
  code = await new Promise((resolve, reject) => {
    const bench = spawn(process.execPath, [join(outdir, "bench-main.mjs"), ...process.argv.slice(2)], {
      cwd: root,
      stdio: "inherit",
    });
    for (const signal of Object.keys(endings)) process.on(signal, () => bench.kill(signal));
    bench.once("error", reject);
    bench.once("exit", (exitCode, signal) => resolve(exitCode ?? endings[signal] ?? 1));
  });
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
process.exit(code);
