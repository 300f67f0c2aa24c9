// Runs an example written in TypeScript: `node examples/run.mjs work-planner [arguments]`. Node 20 cannot by itself, so it is
// bundled first; a program of your own can do the same or use any other bundler.
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ensureInstalled, root } from "../scripts/ensure-installed.mjs";

const [name = "work-planner", ...args] = process.argv.slice(2);
const source = join(dirname(fileURLToPath(import.meta.url)), `${name.replace(/\.ts$/, "")}.ts`);
if (!existsSync(source)) {
  console.error(`there is no example ${source}`);
  process.exit(1);
}
ensureInstalled();
const { build } = await import("esbuild");
const outfile = join(root, "dist/examples", `${name}.mjs`);
mkdirSync(dirname(outfile), { recursive: true });
await build({
  entryPoints: [source],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20.19",
  logLevel: "warning",
  plugins: [
    {
      name: "npm-packages-stay-outside",
      setup(builder) {
        builder.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
          kind === "entry-point" || path.startsWith("@headroom/") ? undefined : { path, external: true },
        );
      },
    },
  ],
});
process.argv = [process.argv[0], outfile, ...args];
await import(pathToFileURL(outfile).href);
