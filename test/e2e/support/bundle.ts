import { mkdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { checkoutDir } from "./built-command.ts";

/**
 * Bundles a program of a test, as scripts/build.mjs does with the command; answers its path. It lies in node_modules, from where
 * npm packages are found.
 */
export async function bundleTestProgram(source: URL): Promise<string> {
  const entry = fileURLToPath(source);
  const outfile = join(
    checkoutDir,
    "node_modules/.cache/headroom-test",
    `${basename(entry, ".ts")}-${process.pid}.mjs`,
  );
  await mkdir(dirname(outfile), { recursive: true });
  await build({
    entryPoints: [entry],
    outfile,
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
  return outfile;
}
