import { spawn } from "node:child_process";

export interface CommandResult {
  /** null when it was killed, by a signal or by the time limit. */
  readonly exitCode: number | null;
  /** stdout and stderr together, the last 16 KiB. */
  readonly output: string;
}

/** The account a program runs as; undefined: ours. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

const maxOutputChars = 16_384;

export interface CommandOptions {
  readonly account: Account | undefined;
  readonly cwd: string;
  readonly limitMs: number;
  /** The data folder, told as PGDATA; default: none is told. */
  readonly dataDir?: string;
}

/**
 * Runs a program to its end, without a shell and with almost no environment: a PGDATA or PGPORT of somebody else's, and their like, would
 * change what PostgreSQL's programs do. Rejects only if it cannot be started.
 */
export function runCommand(program: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...childEnvironment(), ...(options.dataDir !== undefined && { PGDATA: options.dataDir }) },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: options.limitMs,
      killSignal: "SIGKILL",
      windowsHide: true,
      ...options.account,
    });
    let output = "";
    const collect = (chunk: Buffer): void => {
      output = (output + chunk.toString("utf8")).slice(-maxOutputChars);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.once("error", reject);
    child.once("close", (exitCode) => resolve({ exitCode, output }));
  });
}

function childEnvironment(): NodeJS.ProcessEnv {
  const kept = ["PATH", "SystemRoot", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "HOME", "USERPROFILE"];
  const environment: NodeJS.ProcessEnv = { LC_ALL: "C", TZ: "UTC" };
  for (const name of kept) if (process.env[name] !== undefined) environment[name] = process.env[name];
  return environment;
}
