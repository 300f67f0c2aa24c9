import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll } from "vitest";

const folders: string[] = [];

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** A new folder that is removed after the tests of the file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "headroom-runtime-"));
  folders.push(folder);
  return folder;
}

/** Bundles a script into one ESM file, as the programs are, and gives its path. It imports from "./index.ts". */
export async function bundleScript(script: string): Promise<string> {
  const outfile = join(await temporaryFolder(), "script.mjs");
  await build({
    stdin: { contents: script, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile,
    // CommonJS packages inside an ESM bundle need a require.
    banner: {
      js: 'import { createRequire as headroomCreateRequire } from "node:module"; const require = headroomCreateRequire(import.meta.url);',
    },
    logLevel: "silent",
  });
  return outfile;
}

export interface RunningScript {
  readonly child: ChildProcess;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

/** Runs a bundled script in a process of its own, for 25 s at most. */
export async function runScript(script: string): Promise<RunningScript> {
  const child = spawn(process.execPath, [await bundleScript(script)], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 25_000,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => (stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal }));
  });
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}
