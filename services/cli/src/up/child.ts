import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { createDeferred, type Ports, type Timer } from "@headroom/runtime";
import { CliError } from "../errors/cli-error.ts";
import type { PartFacts, PartName } from "../parts.ts";
import { childMessageOf, supervisedVariable } from "../supervised.ts";
import { span } from "../output/format.ts";
import { printable } from "../output/printable.ts";

export interface ChildOptions {
  readonly name: PartName;
  /** The program's file. */
  readonly entry: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly ports: Ports;
  /** Where more about a failure stands. */
  readonly logFile: string;
  /** For the person at the terminal. */
  readonly say: (line: string) => void;
  /** Default: this machine's. */
  readonly platform?: NodeJS.Platform;
}

/** One part in a process of its own, started again when it crashes. */
export interface Child {
  /** Resolves when it is ready for the first time; rejects when it cannot start. */
  start(): Promise<PartFacts>;
  pid(): number | null;
  /** Whether it ever did its work. */
  wasReady(): boolean;
  /** Asks it to stop, and SIGKILL after the grace. Resolves when it is gone. Idempotent. */
  stop(graceMs: number): Promise<void>;
  /** SIGKILL. */
  kill(): void;
}

const firstBackoffMs = 500;
const longestBackoffMs = 30_000;
/** A start that takes longer is told, with the part's last warning: it may wait for a database that is away. */
const slowStartMs = 5_000;
/** Who ran that long has got over what made it crash. */
const healthyAfterMs = 60_000;

export function superviseChild(options: ChildOptions): Child {
  const { name, ports, say, platform = process.platform } = options;
  let current: ChildProcess | null = null;
  let exited = createDeferred();
  let wasReady = false;
  let stopping = false;
  let crashes = 0;
  let restart: Timer | undefined;
  let slow: Timer | undefined;
  let lastWarning = "";
  const firstReady = createDeferred<PartFacts>();

  function launch(): void {
    const startedAtMs = ports.clock.monotonic();
    exited = createDeferred();
    let failure = "";
    const child = spawnPart(options, (line) => {
      const told = readLine(line);
      if (told.kind === "tell") say(`${name}: ${told.text}`);
      else if (told.kind === "warning") lastWarning = told.text;
    });
    current = child;
    child.on("message", (value) => {
      const message = childMessageOf(value);
      if (message?.kind === "failed") failure = message.text;
      if (message?.kind !== "ready") return;
      if (wasReady) say(`headroom: the ${name} runs again`);
      wasReady = true;
      slow?.cancel();
      firstReady.resolve(message);
    });
    const gone = (how: string): void => {
      if (current !== child) return;
      current = null;
      exited.resolve();
      if (stopping) firstReady.reject(new CliError({ message: `the ${name} was stopped while it started` }));
      else if (wasReady) startAgain(how, failure, ports.clock.monotonic() - startedAtMs);
      else firstReady.reject(startError(options, how, failure));
    };
    child.once("error", (error) => gone(error.message));
    child.once("exit", (code, signal) => gone(signal === null ? `exit code ${code}` : `signal ${signal}`));
  }

  function startAgain(how: string, failure: string, ranMs: number): void {
    crashes = ranMs >= healthyAfterMs ? 0 : crashes + 1;
    const delayMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(10, Math.max(0, crashes - 1)));
    say(
      `headroom: the ${name} ended unexpectedly (${how}); starting it again in ${span(delayMs)}. Its log: ${options.logFile}`,
    );
    if (failure !== "") say(failure.trimEnd());
    restart = ports.timers.after(delayMs, () => {
      if (!stopping) launch();
    });
  }

  function tellSlowStart(): void {
    const why = lastWarning === "" ? "" : `: ${lastWarning}`;
    say(`headroom: still waiting for the ${name}${why} (its log: ${options.logFile})`);
    slow = ports.timers.after(3 * slowStartMs, tellSlowStart, { keepAlive: false });
  }

  return {
    start() {
      launch();
      slow = ports.timers.after(slowStartMs, tellSlowStart, { keepAlive: false });
      return firstReady.promise;
    },
    pid: () => current?.pid ?? null,
    wasReady: () => wasReady,
    kill() {
      stopping = true;
      current?.kill("SIGKILL");
    },
    async stop(graceMs) {
      stopping = true;
      restart?.cancel();
      slow?.cancel();
      const child = current;
      if (child === null) return;
      askToStop(child, platform);
      const kill = ports.timers.after(graceMs, () => {
        say(`headroom: the ${name} did not stop within ${span(graceMs)} and is killed`);
        child.kill("SIGKILL");
      });
      await exited.promise;
      kill.cancel();
    },
  };
}

/** On Windows any signal ends a process at once; a part stops by itself when it loses its supervisor (`supervised.ts`). */
function askToStop(child: ChildProcess, platform: NodeJS.Platform): void {
  if (platform !== "win32") child.kill("SIGTERM");
  else if (child.connected) child.disconnect();
}

function spawnPart({ name, entry, env }: ChildOptions, onLine: (line: string) => void): ChildProcess {
  const child = spawn(process.execPath, [...process.execArgv, entry, name], {
    env: { ...env, [supervisedVariable]: "1" },
    // A process group of its own: Ctrl-C in the terminal reaches `up` alone, which stops its children in order.
    detached: process.platform !== "win32",
    windowsHide: true,
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  if (child.stderr !== null) createInterface({ input: child.stderr }).on("line", onLine);
  return child;
}

type Line = { readonly kind: "tell" | "warning"; readonly text: string } | { readonly kind: "skip" };

/** Records of the log are in the log; somebody must see at once only faults, and what is no record at all. Exported for tests. */
export function readLine(line: string): Line {
  if (line.trim() === "") return { kind: "skip" };
  const record = line.startsWith("{") ? parseRecord(line) : null;
  if (record === null) return { kind: "tell", text: printable(line) };
  const text = printable(`${String(Reflect.get(record, "msg"))}${causeOf(record)}`);
  switch (Reflect.get(record, "level")) {
    case "error":
    case "fatal":
      return { kind: "tell", text };
    case "warn":
      return { kind: "warning", text };
    default:
      return { kind: "skip" };
  }
}

/** What the error of a record says that the record itself does not. */
function causeOf(record: object): string {
  const error: unknown = Reflect.get(record, "err");
  const message: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "message") : undefined;
  const isNew = typeof message === "string" && message !== "" && message !== Reflect.get(record, "msg");
  return isNew ? `: ${message}` : "";
}

function parseRecord(line: string): object | null {
  try {
    const record: unknown = JSON.parse(line);
    return typeof record === "object" ? record : null;
  } catch {
    return null;
  }
}

/** What `renderError` said in the part, as an error of this command. */
export function startError(
  { name, logFile }: Pick<ChildOptions, "name" | "logFile">,
  how: string,
  failure: string,
): CliError {
  const said = failure
    .trimEnd()
    .replace(/^headroom: /, "")
    .split("\n");
  return new CliError({
    message: failure === "" ? `the ${name} could not start (${how})` : `the ${name} could not start: ${said[0] ?? how}`,
    reason: "START_FAILED",
    // Each is given its own dash when it is printed.
    details: said.slice(1).map((line) => line.trim().replace(/^- /, "")),
    wayOut: `its log: ${logFile}`,
  });
}
