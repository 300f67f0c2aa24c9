import { chmod, lstat, opendir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, sleep, type Timers } from "@headroom/runtime";

/** Of a file that somebody holds open, or of what came into a folder in the midst of it. */
const passing = new Set(["EBUSY", "EMFILE", "ENFILE", "ENOTEMPTY", "EPERM"]);
/** Of a folder in which there is something. */
const isFull = new Set(["ENOTEMPTY", "EEXIST"]);
const tries = 4;
const retryMs = 100;

/**
 * Removes a folder, or whatever else is there, with all in it; nothing is there: all is well. One thing after another: what removes all children at
 * once, as `fs.rm` does, takes all threads that this program has for files, and its memory grows with the folder. Follows no links.
 */
export async function removeTree(path: string, timers: Timers): Promise<void> {
  for (let left = tries - 1; ; left -= 1) {
    try {
      await removeAny(path);
      return;
    } catch (error) {
      if (left === 0 || !passing.has(errorCode(error))) throw error;
      await sleep(timers, retryMs * (tries - left));
    }
  }
}

async function removeAny(path: string): Promise<void> {
  try {
    if ((await lstat(path)).isDirectory()) await removeFolder(path);
    else await unlink(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

async function removeFolder(path: string): Promise<void> {
  try {
    // One that is empty takes no file to be looked into: there may be none left.
    await rmdir(path);
    return;
  } catch (error) {
    if (!isFull.has(errorCode(error))) throw error;
  }
  try {
    await removeChildren(path);
  } catch (error) {
    if (errorCode(error) !== "EACCES") throw error;
    // Some tools write folders that nobody may write to, their owner included, such as a cache of modules.
    await chmod(path, 0o700);
    await removeChildren(path);
  }
  await rmdir(path);
}

async function removeChildren(path: string): Promise<void> {
  for await (const { name } of await opendir(path)) await removeAny(join(path, name));
}
