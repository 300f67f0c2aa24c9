import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode } from "./error-code.ts";

/**
 * Makes a folder and those above it that are missing, as `mkdir` with `recursive` does; that one never returns on Node 20 where a
 * folder cannot be made although the one above it is there (below /proc, on some network mounts). Answers whether this call made the folder
 * itself. Throws the file system's own error.
 */
export async function makeFolders(path: string, mode: number): Promise<boolean> {
  try {
    return await makeOnly(path, mode);
  } catch (error) {
    const above = dirname(path);
    const code = errorCode(error);
    if (code !== "ENOENT" || above === path) throw error;
    if (!(await isThere(above))) {
      await makeFolders(above, mode);
      return makeFolders(path, mode);
    }
    // Another process may have made the one above in this moment.
    return makeOnly(path, mode);
  }
}

async function makeOnly(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    if (!isExisting(error)) throw error;
    await mustBeFolder(path, error);
    return false;
  }
}

function isExisting(error: unknown): boolean {
  return errorCode(error) === "EEXIST";
}

async function mustBeFolder(path: string, error: unknown): Promise<void> {
  if (!(await stat(path)).isDirectory()) throw error;
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
