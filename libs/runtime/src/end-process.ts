import { systemTimers } from "./timers.ts";

/** Calls that keep a thread of their own or one of Node's, and that may never come back. */
let threadsKept = 0;
let ending: Promise<never> | null = null;

/**
 * A call that another thread makes, and that may hang in the kernel or in a driver: the end of the process is told that the thread may never be
 * joined. For what always ends, however slowly (a name that is looked up, a file that is written), the end of the process waits.
 */
export function keepingThread<T>(call: Promise<T>): Promise<T> {
  threadsKept += 1;
  return call.finally(() => {
    threadsKept -= 1;
  });
}

/** For what does come back: it does within milliseconds. */
const limitMs = 1_000;
const lookEveryMs = 20;
/** Of a container's first process the kernel drops every signal that it sends itself. */
const firstPid = 1;

/**
 * Ends the process with this code. `process.exit` waits for every thread, and one that hangs (a dead network drive, a driver, a stuck process)
 * never comes back: a program that has stopped would stand there for ever, and nobody start it again. So where one hangs, the process ends by
 * a signal: SIGTERM instead of code 0, which a service manager takes for a clean end as well, the signal that a code above 128 stands for,
 * and SIGKILL instead of any other code. Ends at once where nothing that may hang is under way, and within a second else. The first code counts.
 */
export function endProcess(code: number): Promise<never> {
  ending ??= new Promise(() => {
    const look = (leftMs: number): void => {
      if (threadsKept === 0 || process.pid === firstPid) process.exit(code);
      else if (leftMs <= 0) endBySignal(code);
      else systemTimers.after(lookEveryMs, () => look(leftMs - lookEveryMs));
    };
    look(limitMs);
  });
  return ending;
}

function endBySignal(code: number): void {
  // As at any other end: the log and what else listens for it writes down what it has.
  process.emit("exit", code);
  const signal = signalFor(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // Whoever started this program may have had it ignore the signal.
  process.kill(process.pid, "SIGKILL");
}

function signalFor(code: number): NodeJS.Signals {
  if (code === 0 || code === 143) return "SIGTERM";
  if (code === 130) return "SIGINT";
  return code === 129 ? "SIGHUP" : "SIGKILL";
}
