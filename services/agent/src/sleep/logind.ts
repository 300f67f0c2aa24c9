import { spawn, type ChildProcess } from "node:child_process";
import type { Logger, Ports, Timer } from "@headroom/runtime";
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
// this process is killed.
const inhibitor: Command = [
  "systemd-inhibit",
  "--what=sleep",
  "--mode=delay",
  "--who=Headroom",
  "--why=the agent says goodbye to the fleet",
  "cat",
];

/** A monitor that ended is started again after this; a machine without a bus costs one start of a small program in that time. */
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

  function watch(choice: number): void {
    const command = monitors[choice];
    if (listener === null) return;
    if (command === undefined) {
      timer = ports.timers.after(againMs, () => watch(0), { keepAlive: false });
      return;
    }
    const reader = new SleepSignalReader();
    const child = start(command, env, ["ignore", "pipe", "ignore"]);
    monitor = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      for (const isSleep of reader.read(text)) void heard(isSleep);
    });
    ended(child, (why) => {
      logger.debug({ program: command[0], why }, "sleep is not announced by this program");
      if (monitor === child) watch(choice + 1);
    });
    hold();
  }

  /** Makes the machine wait for us at its next sleep. */
  function hold(): void {
    if (listener === null || lock !== null) return;
    const child = start(inhibitor, env, ["pipe", "ignore", "ignore"]);
    lock = child;
    ended(child, (why) => {
      if (lock !== child) return;
      lock = null;
      logger.debug({ why }, "the machine does not wait for this agent when it sleeps");
    });
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

function start(
  [program, ...args]: Command,
  env: LogindOptions["env"],
  stdio: ["ignore" | "pipe", "ignore" | "pipe", "ignore"],
): ChildProcess {
  const child = spawn(program, args, { stdio, env: { ...env, LC_ALL: "C" } });
  // It may have ended when its stdin is closed.
  child.stdin?.on("error", () => undefined);
  // These do not keep this process running.
  child.unref();
  return child;
}

/** Once, whether it could not be started or has ended. */
function ended(child: ChildProcess, then: (why: string) => void): void {
  let isOver = false;
  const over = (why: string): void => {
    if (isOver) return;
    isOver = true;
    then(why);
  };
  child.once("error", (error) => over(error.message));
  child.once("exit", (code, signal) => over(`it ended with ${code ?? signal}`));
}
