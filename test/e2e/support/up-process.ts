import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { waitFor } from "@headroom/testing";
import { builtCommand, checkoutDir } from "./built-command.ts";
import { freePorts } from "./free-ports.ts";

/** Settings of one Headroom: data folder, four ports, and a declared machine, so that a busy one does not matter. */
export async function upEnvironment(dataDir: string): Promise<Record<string, string>> {
  const [a, b, c, d] = await freePorts(4);
  return {
    HEADROOM_DATA_DIR: dataDir,
    HEADROOM_REGISTRY_GRPC_ADDR: `127.0.0.1:${a}`,
    HEADROOM_REGISTRY_HTTP_ADDR: `127.0.0.1:${b}`,
    HEADROOM_ORCHESTRATOR_GRPC_ADDR: `127.0.0.1:${c}`,
    HEADROOM_ORCHESTRATOR_HTTP_ADDR: `127.0.0.1:${d}`,
    HEADROOM_AGENT_DECLARE_CPU_CORES: "4",
    HEADROOM_AGENT_DECLARE_MEMORY_GB: "8",
    PAUSE_POLLING_INTERVAL_SECONDS: "1",
  };
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `headroom` with these arguments to its end, in the checkout. */
export async function headroom(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  limitMs = 60_000,
): Promise<Outcome> {
  const command = await builtCommand();
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [command, ...args],
      { env: { ...cleanEnvironment(), ...env }, cwd: checkoutDir, timeout: limitMs, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

export interface UpProcess {
  readonly pid: number;
  /** All that it has said, stdout and stderr. */
  said(): string;
  /** Resolves when it says that it runs; rejects with what it said when it ends instead. */
  ready(): Promise<void>;
  ended(): Promise<number | NodeJS.Signals>;
  /** Pids of its parts by name, as the system tells. */
  parts(): ReadonlyMap<string, number>;
  signal(signal: NodeJS.Signals): void;
  /** Ctrl-C; resolves with the exit code. */
  stop(): Promise<number | NodeJS.Signals>;
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export async function startUp(env: Readonly<Record<string, string>>, uid?: number): Promise<UpProcess> {
  const command = await builtCommand();
  const child = spawn(process.execPath, [command, "up"], {
    env: { ...cleanEnvironment(), ...env },
    cwd: checkoutDir,
    stdio: ["ignore", "pipe", "pipe"],
    ...(uid !== undefined && { uid, gid: uid }),
  });
  running.add(child);
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8");
  });
  let ending: number | NodeJS.Signals | undefined;
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("exit", (code, signal) => {
      running.delete(child);
      ending = signal ?? code ?? -1;
      resolve(ending);
    });
  });
  const pid = child.pid ?? 0;
  return {
    pid,
    said: () => said,
    ended: () => ended,
    async ready() {
      await waitFor(() => said.includes("Ctrl-C stops everything") || ending !== undefined, {
        timeoutMs: 60_000,
        describe: () => `headroom up to run:\n${said}`,
      });
      if (ending !== undefined) throw new Error(`headroom up ended with ${ending}:\n${said}`);
    },
    parts: () => partsOf(pid),
    signal: (signal) => void child.kill(signal),
    stop() {
      child.kill("SIGINT");
      return ended;
    },
  };
}

/** Nothing of this process's own settings leaks in. */
function cleanEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(HEADROOM_|PAUSE_|DATABASE_URL|TEST_DATABASE_URL|NODE_OPTIONS|VITEST)/.test(name),
    ),
  );
}

/** Children of a process that run a part of Headroom, by the part's name. */
function partsOf(parent: number): ReadonlyMap<string, number> {
  const parts = new Map<string, number>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    const command = read(`/proc/${name}/cmdline`).split("\0");
    const stat = read(`/proc/${name}/stat`);
    const ppid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    const part = command.find((word) => word === "registry" || word === "orchestrator" || word === "agent");
    if (ppid === parent && part !== undefined) parts.set(part, Number(name));
  }
  return parts;
}

export function isAlive(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat !== "" && stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
