import { mkdir, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { checkoutDir } from "./built-command.ts";

/**
 * Bundles a program of a test, as scripts/build.mjs does with the command; answers its path. It lies in node_modules, from where
 * npm packages are found.
 */
export async function bundleTestProgram(source: URL): Promise<string> {
  const entry = fileURLToPath(source);
  const folder = join(checkoutDir, "node_modules/.cache/headroom-test");
  const outfile = join(folder, `${basename(entry, ".ts")}.mjs`);
  // Test files that bundle the same program at once each write a file of their own and rename it into place.
  const partial = `${outfile}.${process.pid}`;
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: [entry],
    outfile: partial,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20.19",
    logLevel: "silent",
    plugins: [
      {
        name: "npm-packages-stay-outside",
        setup(plugin) {
          plugin.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
            kind === "entry-point" || path.startsWith("@headroom/") ? undefined : { path, external: true },
          );
        },
      },
    ],
  });
  await rename(partial, outfile);
  return outfile;
}
