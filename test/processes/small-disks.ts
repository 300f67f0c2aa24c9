import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive } from "../e2e/support/up-process.ts";
import { errorCode } from "@headroom/runtime";

/** A small file system of a test's own, which can be filled to the brim. */
export interface SmallDisk {
  /** "agent-1" */
  readonly name: string;
  readonly path: string;
  /** Leaves no byte free, and takes whatever is freed meanwhile; until `free`. False: it is full already. */
  fill(): boolean;
  free(): void;
}

export interface SmallDisks {
  /** A folder on the machine's own disk, in which they are mounted. */
  readonly dir: string;
  /** The one of this name; throws where there is none. */
  disk(name: string): SmallDisk;
  make(name: string, sizeMib: number): SmallDisk;
  /** Unmounts and removes all of them. */
  remove(): Promise<void>;
}

/** Why there can be none here; null: there can. */
export function whyNoSmallDisks(): string | null {
  if (process.platform !== "linux") return "tmpfs is Linux's";
  if (process.getuid?.() !== 0) return "only root may mount one";
  const dir = newFolder();
  try {
    mount(dir, 1);
    unmount(dir);
    return null;
  } catch (error) {
    return `no tmpfs can be mounted: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const prefix = "headroom-disks-";
let folders = 0;

/** Named after this process, so that whoever comes later can tell that it is gone. */
function newFolder(): string {
  folders += 1;
  const dir = join(tmpdir(), `${prefix}${process.pid}-${folders}`);
  mkdirSync(dir);
  // PostgreSQL runs as another user when we are root.
  chmodSync(dir, 0o711);
  return dir;
}

export function createSmallDisks(): SmallDisks {
  removeAbandoned();
  const dir = newFolder();
  const disks: SmallDisk[] = [];
  const unmountAll = (): void => {
    for (const { path } of disks) unmount(path);
    rmSync(dir, { recursive: true, force: true });
  };
  process.once("exit", unmountAll);
  return {
    dir,
    disk(name) {
      const found = disks.find((disk) => disk.name === name);
      if (found === undefined) throw new Error(`there is no small disk ${name}`);
      return found;
    },
    make(name, sizeMib) {
      const path = join(dir, name);
      mkdirSync(path);
      mount(path, sizeMib);
      const disk = smallDisk(name, path);
      disks.push(disk);
      return disk;
    },
    async remove() {
      for (const disk of disks) disk.free();
      // Commands that were killed a moment ago may still stand in a folder.
      await pause(50);
      process.off("exit", unmountAll);
      unmountAll();
    },
  };
}

const refillEveryMs = 20;
const pieces = [Buffer.alloc(1_048_576), Buffer.alloc(4_096), Buffer.alloc(1)];

function smallDisk(name: string, path: string): SmallDisk {
  const ballast = join(path, ".ballast");
  let filling: { readonly fd: number; readonly timer: NodeJS.Timeout } | undefined;
  return {
    name,
    path,
    fill() {
      if (filling !== undefined) return false;
      const fd = openSync(ballast, "w");
      fillUp(fd);
      filling = { fd, timer: setInterval(() => fillUp(fd), refillEveryMs) };
      return true;
    },
    free() {
      if (filling === undefined) return;
      clearInterval(filling.timer);
      closeSync(filling.fd);
      filling = undefined;
      rmSync(ballast, { force: true });
    },
  };
}

function fillUp(fd: number): void {
  for (const piece of pieces) {
    try {
      // A short write says that the next one would fail.
      while (writeSync(fd, piece) === piece.length) continue;
    } catch (error) {
      if (errorCode(error) !== "ENOSPC") throw error;
    }
  }
}

function mount(path: string, sizeMib: number): void {
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMib}m,mode=0755`, "headroom-test", path], { stdio: "pipe" });
}

/** Lazily: what is still open there goes when it is closed. */
function unmount(path: string): void {
  try {
    execFileSync("umount", ["-l", path], { stdio: "pipe" });
  } catch {
    // It is none, or no more.
  }
}

/** What runs left that were killed before they could tidy up. */
function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(prefix) ? Number(/^\d+/.exec(name.slice(prefix.length))?.[0]) : Number.NaN;
    if (!Number.isInteger(pid) || isAlive(pid)) continue;
    const dir = join(tmpdir(), name);
    for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
      const path = line.split(" ")[1];
      if (path?.startsWith(`${dir}/`) === true) unmount(path);
    }
    rmSync(dir, { recursive: true, force: true });
  }
}
