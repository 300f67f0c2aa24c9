import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@headroom/testing";
import { processesIn, signalAllIn } from "./folder-processes.ts";

/** PostgreSQL refuses to run as root: all programs run as `nobody` then, which needs no entry in any list of users. */
const account = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** A folder that belongs to the account under which the programs run. */
export function makeFolder(path: string): string {
  mkdirSync(path, { mode: 0o700 });
  if (account.uid !== undefined) chownSync(path, account.uid, account.gid);
  return path;
}

/** Where a program of ours runs, and how. */
export interface ProgramPlace {
  readonly argv: readonly [string, ...string[]];
  /** Its working directory, its home, and where its output goes (`output`). */
  readonly folder: string;
}

/** Starts a program in its folder, with almost no environment. */
export function spawnIn({ argv: [program, ...args], folder }: ProgramPlace): ChildProcess {
  const output = openSync(join(folder, "output"), "a");
  const child = spawn(program, args, {
    cwd: folder,
    env: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: folder,
      LC_ALL: "C.UTF-8",
      TZ: "UTC",
      // etcd asks for this on every machine but amd64.
      ...(process.arch === "arm64" && { ETCD_UNSUPPORTED_ARCH: "arm64" }),
    },
    stdio: ["ignore", output, output],
    // A Ctrl-C in the terminal is ours to handle.
    detached: true,
    ...account,
  });
  closeSync(output);
  // Told by the start that waits for it in vain.
  child.on("error", () => undefined);
  return child;
}

/** A machine of the cluster, as a fault sees it: everything that runs in its folder. */
export interface Member {
  readonly name: string;
  readonly folder: string;
  start(): void;
  /** SIGKILL to everything at once, as when the power goes; resolves when it is gone. Idempotent. */
  kill9(): Promise<void>;
  /** SIGSTOP to everything, as when a hypervisor pauses the machine. */
  freeze(): void;
  thaw(): void;
}

export function member(name: string, place: ProgramPlace): Member {
  const { folder } = place;
  return {
    name,
    folder,
    start: () => void spawnIn(place),
    async kill9() {
      signalAllIn(folder, "SIGKILL");
      await waitFor(() => processesIn(folder).length === 0, { describe: `${name} to be gone` });
    },
    freeze: () => void signalAllIn(folder, "SIGSTOP"),
    thaw: () => void signalAllIn(folder, "SIGCONT"),
  };
}
