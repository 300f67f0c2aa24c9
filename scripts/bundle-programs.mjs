// Bundles TypeScript programs of `test/` as production is bundled: workspaces inside, npm packages outside.
import { mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { root } from "./ensure-installed.mjs";

const npmPackagesStayOutside = {
  name: "npm-packages-stay-outside",
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === "entry-point" || path.startsWith("@headroom/") ? undefined : { path, external: true },
    );
  },
};

/** Answers the folder, inside the checkout, from where npm packages are found. Remove it afterwards. */
export async function bundlePrograms(label, programs, plugins = []) {
  const { build } = await import("esbuild");
  const outdir = join(root, `dist/${label}-${process.pid}`);
  mkdirSync(outdir, { recursive: true });
  await build({
    entryPoints: programs.map((path) => ({ in: join(root, path), out: basename(path, ".ts") })),
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20.19",
    sourcemap: "inline",
    sourcesContent: false,
    logLevel: "warning",
    plugins: [...plugins, npmPackagesStayOutside],
  });
  return { outdir, remove: () => rmSync(outdir, { recursive: true, force: true }) };
}
