// Bundles the command `headroom` (registry, orchestrator, agent, CLI) into dist/headroom.mjs: one file of ours, npm packages
// stay in node_modules. Nothing happens when no source is newer than the bundle, so every start may call it.
import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
export const BUNDLE = join(root, "dist/headroom.mjs");
const ENTRY = join(root, "services/cli/src/main.ts");

function newestSourceMs() {
  let newest = statSync(join(root, "package.json")).mtimeMs;
  for (const group of ["libs", "services"]) {
    for (const name of readdirSync(join(root, group))) {
      const src = join(root, group, name, "src");
      if (!existsSync(src)) continue;
      for (const entry of readdirSync(src, { recursive: true })) {
        if (!/\.(ts|json|sql)$/.test(entry) || entry.endsWith(".test.ts")) continue;
        newest = Math.max(newest, statSync(join(src, entry)).mtimeMs);
      }
    }
  }
  return newest;
}

/** True when the bundle is missing or older than a source. Without sources (an installed image) the bundle is taken as it is. */
function isStale() {
  if (!existsSync(ENTRY)) return false;
  return !existsSync(BUNDLE) || statSync(BUNDLE).mtimeMs < newestSourceMs();
}

/** The package of an import: `@grpc/grpc-js` of `@grpc/grpc-js/build/x`. */
const packageOf = (path) =>
  path
    .split("/")
    .slice(0, path.startsWith("@") ? 2 : 1)
    .join("/");

/**
 * Packages are found from dist/ at run time, that is in the root's node_modules. One that npm had to nest inside a workspace,
 * because the root has another version of it, would be the wrong one there: it is bundled.
 */
const npmPackagesStayOutside = {
  name: "npm-packages-stay-outside",
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, ({ path, kind, resolveDir }) => {
      if (kind === "entry-point" || path.startsWith("@headroom/")) return undefined;
      const [, workspace] = /^(.*?[\\/](?:libs|services)[\\/][^\\/]+)[\\/]/.exec(`${resolveDir}/`) ?? [];
      const isNested = workspace !== undefined && existsSync(join(workspace, "node_modules", packageOf(path)));
      return isNested ? undefined : { path, external: true };
    });
  },
};

/** Builds if needed. Two builds at once are harmless: each writes its own file and renames it into place. */
export async function build() {
  if (!isStale()) return BUNDLE;
  const { build: bundle } = await import("esbuild");
  const partial = `${BUNDLE}.${process.pid}.mjs`;
  try {
    await bundle({
      entryPoints: [ENTRY],
      outfile: partial,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20.19",
      sourcemap: "inline",
      sourcesContent: false,
      legalComments: "none",
      logLevel: "warning",
      plugins: [npmPackagesStayOutside],
      // CommonJS packages that are bundled all the same call require() for Node's own modules.
      banner: {
        js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
      },
    });
    renameSync(partial, BUNDLE);
  } finally {
    rmSync(partial, { force: true });
  }
  return BUNDLE;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await build();
