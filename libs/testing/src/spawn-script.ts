import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { waitFor } from "./wait-for.ts";

/** A program of a test in a process of its own. */
export interface SpawnedScript {
  readonly child: ChildProcess;
  /** What it has written so far, stdout and stderr together. */
  output(): string;
  /** Resolves with the first line of its stdout that begins with `prefix`, without the prefix. */
  line(prefix: string): Promise<string>;
  /** Resolves when it has ended: its exit code, or the signal's name. */
  ended(): Promise<number | NodeJS.Signals | null>;
  /** Kills it (SIGKILL) and waits until it is gone. */
  kill9(): Promise<void>;
}

export interface SpawnScriptOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Another user to run as; only root may. */
  readonly uid?: number;
  readonly gid?: number;
}

let built = 0;

/**
 * Runs a TypeScript file in a Node process of its own (Node 20 cannot by itself, so it is bundled first). The bundle lies in
 * node_modules, from where npm packages are found; workspaces are bundled in.
 */
export async function spawnScript(file: string, options: SpawnScriptOptions = {}): Promise<SpawnedScript> {
  built += 1;
  const bundle = join(modulesDir(), ".cache", "headroom-test", `script-${process.pid}-${built}.mjs`);
  await mkdir(dirname(bundle), { recursive: true });
  await build({
    entryPoints: [file],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "silent",
    plugins: [
      {
        name: "npm packages stay outside",
        setup(plugin) {
          plugin.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
            kind === "entry-point" || path.startsWith("@headroom/") ? null : { path, external: true },
          );
        },
      },
    ],
  });
  const child = spawn(process.execPath, [bundle, ...(options.args ?? [])], {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    ...(options.uid !== undefined && { uid: options.uid }),
    ...(options.gid !== undefined && { gid: options.gid }),
  });
  return follow(child, bundle);
}

function follow(child: ChildProcess, bundle: string): SpawnedScript {
  let output = "";
  let stdout = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk.toString("utf8");
    output += chunk.toString("utf8");
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    output += chunk.toString("utf8");
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once("close", (exitCode, signal) => {
      rm(bundle, { force: true }).then(
        () => resolve(signal ?? exitCode),
        () => resolve(signal ?? exitCode),
      );
    });
  });
  return {
    child,
    output: () => output,
    line: (prefix) =>
      waitFor(
        () =>
          completeLines(stdout)
            .find((line) => line.startsWith(prefix))
            ?.slice(prefix.length),
        {
          describe: () => `a line "${prefix}…" in the output:\n${output}`,
        },
      ),
    ended: () => ended,
    async kill9() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function completeLines(text: string): string[] {
  return text.split("\n").slice(0, -1);
}

/** The checkout's node_modules, which lies above this file. */
function modulesDir(): string {
  return join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "node_modules");
}
