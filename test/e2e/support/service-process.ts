import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Exit code, or the name of the signal that ended it. */
export type Ending = number | NodeJS.Signals;

export interface ServiceProcessOptions {
  /** For messages: "registry-1". */
  readonly name: string;
  /** Program and arguments. */
  readonly argv: readonly [string, ...string[]];
  /** The whole environment but PATH and the like; nothing of this process's own HEADROOM_* settings leaks in. */
  readonly env: Readonly<Record<string, string>>;
  /** Takes stdout and stderr, over all starts. */
  readonly outputFile: string;
  /** Where the program itself writes its log. */
  readonly logFile: string;
}

/** A program of Headroom in a process of its own, that can be killed and started again. */
export interface ServiceProcess {
  readonly name: string;
  /** Of the running process; throws when none runs. */
  pid(): number;
  isRunning(): boolean;
  /** Its process has come so far that it has logged something, and so hears signals. */
  hasSpoken(): boolean;
  /** Starts it; throws when it runs already. `env` is added for this start only. */
  start(overrides?: {
    readonly argv?: readonly [string, ...string[]];
    readonly env?: Readonly<Record<string, string>>;
  }): void;
  /** Resolves when the process of the last start has ended. */
  ended(): Promise<Ending>;
  /** SIGKILL; resolves when it is gone. Idempotent. */
  kill9(): Promise<void>;
  /** SIGTERM; resolves with its ending. Rejects, having killed it, when it takes longer than `limitMs` (default 40,000). */
  term(limitMs?: number): Promise<Ending>;
  /** All it has written to stdout and stderr so far: what a person at its terminal would have read. */
  output(): string;
  /** All it has written to its log file so far, one JSON record a line. */
  log(): string;
}

/** Every process of this worker that runs: whatever a failing test leaves behind is ended with the worker. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

const inherited = ["PATH", "HOME", "TMPDIR", "LANG", "USER", "XDG_RUNTIME_DIR"] as const;

function baseEnvironment(): Record<string, string> {
  return Object.fromEntries(
    inherited.flatMap((key) => (process.env[key] === undefined ? [] : [[key, process.env[key]]])),
  );
}

export function serviceProcess(options: ServiceProcessOptions): ServiceProcess {
  mkdirSync(dirname(options.outputFile), { recursive: true });
  let child: ChildProcess | undefined;
  let ended: Promise<Ending> = Promise.resolve(0);
  let logBytesBefore = 0;

  const isRunning = (): boolean => child !== undefined;

  const service: ServiceProcess = {
    name: options.name,
    isRunning,
    hasSpoken: () => child !== undefined && sizeOf(options.logFile) > logBytesBefore,
    pid() {
      if (child?.pid === undefined) throw new Error(`${options.name} does not run`);
      return child.pid;
    },
    start(overrides = {}) {
      if (child !== undefined) throw new Error(`${options.name} runs already`);
      const [program, ...args] = overrides.argv ?? options.argv;
      const output = openSync(options.outputFile, "a");
      const started = spawn(program, args, {
        env: { ...baseEnvironment(), ...options.env, ...overrides.env },
        stdio: ["ignore", output, output],
      });
      closeSync(output);
      child = started;
      logBytesBefore = sizeOf(options.logFile);
      running.add(started);
      ended = new Promise<Ending>((resolve, reject) => {
        const settle = (): void => {
          running.delete(started);
          if (child === started) child = undefined;
        };
        started.once("error", (error) => {
          settle();
          reject(error);
        });
        started.once("exit", (code, signal) => {
          settle();
          resolve(signal ?? code ?? 0);
        });
      });
      // Whoever asks for the ending hears of the error; nobody has to ask.
      ended.catch(() => undefined);
    },
    ended: () => ended,
    async kill9() {
      child?.kill("SIGKILL");
      await ended;
    },
    async term(limitMs = 40_000) {
      child?.kill("SIGTERM");
      const late = new AbortController();
      try {
        const outcome = await Promise.race([ended, pause(limitMs, "late" as const, { signal: late.signal })]);
        if (outcome !== "late") return outcome;
      } finally {
        late.abort();
      }
      await service.kill9();
      throw new Error(`${options.name} did not stop within ${limitMs} ms of SIGTERM:\n${lastWords(service)}`);
    },
    output: () => readIfThere(options.outputFile),
    log: () => readIfThere(options.logFile),
  };
  return service;
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** A stack in JSON is long, and its first lines tell it. */
const maxLineChars = 600;

/** The last lines of what a process wrote and logged, for the message of a failing test. */
export function lastWords(service: ServiceProcess, lines = 25): string {
  const state = service.isRunning() ? "" : " (not running)";
  return `--- ${service.name}${state}\n${tail(service.log(), lines)}\n${tail(service.output(), lines)}`;
}

function tail(text: string, lines: number): string {
  return text
    .split("\n")
    .slice(-lines)
    .map((line) => (line.length > maxLineChars ? `${line.slice(0, maxLineChars)}…` : line))
    .join("\n");
}
