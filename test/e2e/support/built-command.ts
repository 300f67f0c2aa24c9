import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The checkout: the folder above this file, or above the bundle that it has become part of. */
export const checkoutDir: string = checkoutAbove(dirname(fileURLToPath(import.meta.url)));

function checkoutAbove(folder: string): string {
  if (existsSync(join(folder, "package-lock.json"))) return folder;
  const above = dirname(folder);
  if (above === folder) throw new Error("this file lies in no checkout of Headroom");
  return checkoutAbove(above);
}

let built: Promise<string> | undefined;

/** Path of the built command `headroom`; builds it when a source is newer, so that tests never run yesterday's program. */
export function builtCommand(): Promise<string> {
  built ??= promisify(execFile)(process.execPath, [join(checkoutDir, "scripts/build.mjs")], { timeout: 120_000 }).then(
    () => join(checkoutDir, "dist/headroom.mjs"),
  );
  return built;
}
