import { systemTimers } from "./timers.ts";

/** Calls that keep a thread of their own, which Node tells nobody of. */
let threadsKept = 0;

/** A call that another thread makes, and that may hang in the kernel: the end of the process is told that the thread may never be joined. */
export function keepingThread<T>(call: Promise<T>): Promise<T> {
  threadsKept += 1;
  return call.finally(() => {
    threadsKept -= 1;
  });
}

/** What Node's own threads do for files and names, as Node calls it. */
const threadWork = /^(FSReq|FileHandleCloseReq|GetAddrInfo|GetNameInfo)/;
/** For what is read and written in the ordinary way: it ends within milliseconds. */
const limitMs = 1_000;
const lookEveryMs = 20;

/**
 * Ends the process with this code. `process.exit` waits for every thread, and one that hangs in the kernel (a dead network drive, a driver, a
 * stuck process) never comes back: a program that has stopped would stand there for ever, and nobody start it again. So where one hangs, the
 * process ends by a signal: SIGTERM instead of code 0, which a service manager takes for a clean end as well, the signal that a code
 * above 128 stands for, and SIGKILL instead of any other code. Ends at once where no thread has anything to do, and within a second else.
 */
export function endProcess(code: number): Promise<never> {
  return new Promise(() => {
    const look = (leftMs: number): void => {
      if (!isThreadBusy()) process.exit(code);
      else if (leftMs <= 0) endBySignal(code);
      else systemTimers.after(lookEveryMs, () => look(leftMs - lookEveryMs));
    };
    look(limitMs);
  });
}

function isThreadBusy(): boolean {
  return threadsKept > 0 || process.getActiveResourcesInfo().some((kind) => threadWork.test(kind));
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
