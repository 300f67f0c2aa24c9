import { spawn, type ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { Outage, type Logger, type Ports, type Timer } from "@headroom/runtime";
import { SleepSignalReader } from "./logind-signals.ts";
import type { SleepListener, SleepSource } from "./sleep-source.ts";

export interface LogindOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
}

type Command = readonly [program: string, ...args: readonly string[]];

/** Any of them will do; desktops have at least one. Only what logind itself sends counts. */
const monitors: readonly Command[] = [
  ["gdbus", "monitor", "--system", "--dest", "org.freedesktop.login1", "--object-path", "/org/freedesktop/login1"],
  [
    "dbus-monitor",
    "--system",
    "type='signal',sender='org.freedesktop.login1',interface='org.freedesktop.login1.Manager',member='PrepareForSleep'",
  ],
];

// logind waits for everyone that holds such a lock, 5 s at most. It ends with `cat`, and that with our end of its stdin: also when
// this process is killed. `cat` runs once the lock is held, and says so by giving back what it is given.
const inhibitor: Command = [
  "systemd-inhibit",
  "--what=sleep",
  "--mode=delay",
  "--who=Headroom",
  "--why=the agent says goodbye to the fleet",
  "cat",
];

/** A monitor or a lock that ended is started again after this; a machine without a bus costs the starts of three small programs in that time. */
const againMs = 300_000;

/**
 * Sleep as systemd's logind announces it, through the tools that speak to it: one small program that watches, one that holds a
 * lock which makes the machine wait for our goodbye. Without them, without a bus or without logind nothing is heard and nothing is said.
 */
export function logindSleepSource(options: LogindOptions): SleepSource {
  const { ports, logger, env } = options;
  let listener: SleepListener | null = null;
  let monitor: ChildProcess | null = null;
  let lock: ChildProcess | null = null;
  let timer: Timer | null = null;
  let lockTimer: Timer | null = null;
  /** Of a lock that was held: a machine where none can be had is as good as one that never sleeps. */
  const lockLost = new Outage(logger, {
    fails: "the machine no longer waits for this agent when it sleeps; asking it again now and then",
    works: "the machine waits for this agent again when it sleeps",
  });
  let wasHeld = false;

  function watch(choice: number): void {
    const command = monitors[choice];
    if (listener === null) return;
    if (command === undefined) {
      timer = ports.timers.after(againMs, () => watch(0), { keepAlive: false });
      return;
    }
    const reader = new SleepSignalReader();
    const child = start(command, env, ["ignore", "pipe", "ignore"], (error) => {
      logger.debug({ program: command[0], err: error }, "sleep is not announced by this program");
      if (monitor === child) watch(choice + 1);
    });
    monitor = child;
    child?.stdout?.setEncoding("utf8").on("data", (text: string) => {
      for (const isSleep of reader.read(text)) void heard(isSleep);
    });
    hold();
  }

  /** Makes the machine wait for us at its next sleep. */
  function hold(): void {
    if (listener === null || lock !== null) return;
    const child = start(inhibitor, env, ["pipe", "pipe", "ignore"], (error) => {
      if (listener === null || lock !== child) return;
      lock = null;
      if (wasHeld) lockLost.failed(error);
      else logger.debug({ err: error }, "the machine does not wait for this agent when it sleeps");
      lockTimer?.cancel();
      lockTimer = ports.timers.after(againMs, hold, { keepAlive: false });
    });
    lock = child;
    child?.stdout?.once("data", () => {
      wasHeld = true;
      lockLost.worked();
    });
    child?.stdin?.write("held\n");
  }

  function release(): void {
    const child = lock;
    lock = null;
    child?.stdin?.end();
  }

  async function heard(isSleep: boolean): Promise<void> {
    if (!isSleep) {
      listener?.back();
      return hold();
    }
    await listener?.announced();
    release();
  }

  return {
    start(given) {
      listener = given;
      watch(0);
    },
    async stop() {
      listener = null;
      timer?.cancel();
      lockTimer?.cancel();
      const child = monitor;
      monitor = null;
      release();
      if (child === null || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      child.ref();
      const gone = new Promise<void>((resolve) => void child.once("exit", () => resolve()));
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** `over` is told once, later, why the program could not be started or that it has ended. null: it could not be started. */
function start(
  [program, ...args]: Command,
  env: LogindOptions["env"],
  stdio: ["ignore" | "pipe", "pipe", "ignore"],
  over: (why: Error) => void,
): ChildProcess | null {
  let child: ChildProcess;
  try {
    child = spawn(program, args, { stdio, env: { ...env, LC_ALL: "C" } });
  } catch (error) {
    // Some reasons (no memory, an environment that is too large) are thrown, others (no such program) told by an event.
    process.nextTick(() => over(error instanceof Error ? error : new Error(String(error))));
    return null;
  }
  // It may have ended when its stdin is written to or closed.
  child.stdin?.on("error", () => undefined);
  // These do not keep this process running, nor do their pipes.
  child.unref();
  if (child.stdout instanceof Socket) child.stdout.unref();
  let isOver = false;
  const once = (why: Error): void => {
    if (!isOver) over(why);
    isOver = true;
  };
  child.once("error", once);
  child.once("exit", (code, signal) => once(new Error(`it ended with ${code ?? signal}`)));
  return child;
}
