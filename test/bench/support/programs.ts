/** The side of the parent: starts bundled programs, gives them commands, and ends them by their own pid. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Program {
  readonly pid: number;
  /** Rejects with the child's error, or when it ends or does not answer in time. */
  call<Result>(command: string, argument?: unknown, limitMs?: number): Promise<Result>;
  /** Ends it at once, as a crash does. Resolves when it is gone. Idempotent. */
  kill(): Promise<void>;
}

interface Reply {
  readonly id?: number;
  readonly ready?: true;
  readonly result?: unknown;
  readonly error?: string;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

const LIMIT_MS = 300_000;
const running = new Set<Program>();

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly execArgv?: readonly string[];
}

/** `name` is a file of test/bench/programs without its ending. Resolves when it takes commands. */
export async function startProgram(name: string, options: StartOptions = {}): Promise<Program> {
  // Bundles lie side by side, and this file is a part of the first of them.
  const bundle = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));
  const child = fork(bundle, [], {
    env: { ...process.env, ...options.env },
    execArgv: [...profiling(name), ...(options.execArgv ?? [])],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    serialization: "advanced",
  });
  // A registry that loses its whole fleet says so agent by agent; shown only when a program ends unasked.
  let lastWords = "";
  child.stderr?.on("data", (text: Buffer) => {
    lastWords = (lastWords + text.toString()).slice(-2_000);
  });
  const waiting = new Map<number, Waiting>();
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let lastId = 0;
  const ready = new Promise<void>((resolve, reject) => {
    child.on("message", (reply: Reply) => {
      if (reply.ready === true) resolve();
      const asker = waiting.get(reply.id ?? 0);
      waiting.delete(reply.id ?? 0);
      if (reply.error === undefined) asker?.resolve(reply.result);
      else asker?.reject(new Error(`${name}: ${reply.error}`));
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      const error = new Error(`${name} ended (${code ?? signal}); its last words: ${lastWords}`);
      reject(error);
      for (const asker of waiting.values()) asker.reject(error);
      waiting.clear();
    });
  });
  const program: Program = {
    pid: child.pid ?? 0,
    call<Result>(command: string, argument?: unknown, limitMs = LIMIT_MS): Promise<Result> {
      const id = (lastId += 1);
      return new Promise<Result>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${name}: no answer to ${command} in ${limitMs} ms`)), limitMs);
        const settled =
          <T>(settle: (value: T) => void) =>
          (value: T): void => {
            clearTimeout(timer);
            settle(value);
          };
        // The child answers a command with what its table says.
        waiting.set(id, {
          resolve: settled((result: unknown) => resolve(result as Result)),
          reject: settled(reject),
        });
        if (child.connected) child.send({ id, command, argument });
        else waiting.get(id)?.reject(new Error(`${name} is gone`));
      });
    },
    async kill() {
      running.delete(program);
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await gone;
    },
  };
  running.add(program);
  await ready;
  return program;
}

/** Ends what is left, whatever has happened. */
export async function endPrograms(): Promise<void> {
  await Promise.all([...running].map((program) => program.kill()));
}

/** HEADROOM_BENCH_PROFILE=registry-main,workers-main writes a CPU profile of these programs when they exit by themselves. */
function profiling(name: string): readonly string[] {
  return process.env["HEADROOM_BENCH_PROFILE"]?.split(",").includes(name) === true
    ? ["--cpu-prof", `--cpu-prof-dir=bench-profiles/${name}`]
    : [];
}
