// One installation at a time in one checkout: a folder with one file in it, named by the process that installs.
import { mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const pollMs = 200;
/** Longer than an installation takes. A process with this number may be another one by now. */
const limitMs = 15 * 60_000;

/**
 * Waits until no other living process holds the lock, takes it, and answers how to give it back. `onWait` is told once whom it waits for.
 * Throws what the file system refuses, and after 15 minutes.
 */
export function takeInstallLock(lock, onWait) {
  // Made beside its place, so that the lock never stands there without its owner.
  const draft = `${lock}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft);
  try {
    writeFileSync(join(draft, String(process.pid)), "");
    let waitedMs = 0;
    while (!moved(draft, lock)) {
      const owner = ownerOf(lock);
      if (owner === null) continue;
      if (waitedMs === 0) onWait(owner);
      waitedMs += pollMs;
      if (waitedMs > limitMs)
        throw new Error(`process ${owner} still holds ${lock}: delete it if that is no installation`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pollMs);
    }
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
  return () => clear(lock, String(process.pid));
}

/** Only onto an empty folder, or none. */
function moved(draft, lock) {
  try {
    renameSync(draft, lock);
    return true;
  } catch (error) {
    // Windows says EPERM of a folder that is there, and refuses an empty one too.
    if (["ENOTEMPTY", "EEXIST"].includes(error.code) || (process.platform === "win32" && error.code === "EPERM"))
      return false;
    throw error;
  }
}

/** The living process that holds the lock; null when it is free now: what a dead one left is cleared away. */
function ownerOf(lock) {
  const [name] = namesIn(lock);
  // This process does not hold it: the number is that of an earlier one.
  if (name !== undefined && Number(name) !== process.pid && isAlive(Number(name))) return Number(name);
  clear(lock, name);
  return null;
}

/** By its name: of several that find a dead owner none clears away the next one's lock. */
function clear(lock, name) {
  try {
    if (name !== undefined) unlinkSync(join(lock, name));
    rmdirSync(lock);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(error.code)) throw error;
  }
}

function namesIn(lock) {
  try {
    return readdirSync(lock);
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
