import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The checkout. */
export const checkoutDir: string = fileURLToPath(new URL("../../..", import.meta.url));

let built: Promise<string> | undefined;

/** Path of the built command `headroom`; builds it when a source is newer, so that tests never run yesterday's program. */
export function builtCommand(): Promise<string> {
  built ??= promisify(execFile)(process.execPath, [join(checkoutDir, "scripts/build.mjs")], { timeout: 120_000 }).then(
    () => join(checkoutDir, "dist/headroom.mjs"),
  );
  return built;
}
