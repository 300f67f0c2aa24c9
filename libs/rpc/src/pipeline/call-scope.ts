import type { Timer, Timers } from "@headroom/runtime";
import { HeadroomError } from "../errors.ts";

/** The life of one call: its signal, ended early by the caller, the deadline or the server. */
export interface CallScope {
  /** Its reason is always a HeadroomError. */
  readonly signal: AbortSignal;
  /** Ends the call with this error; the first one counts. */
  abort(error: HeadroomError): void;
  /** The call is over: no timer and no listener stays. Idempotent. */
  close(): void;
}

export interface CallScopeOptions {
  readonly timers: Timers;
  /** null: no deadline. */
  readonly deadlineLeftMs: number | null;
  /** Aborted when the caller goes away. */
  readonly callerSignal: AbortSignal | undefined;
}

export function openCallScope(options: CallScopeOptions): CallScope {
  const controller = new AbortController();
  const abort = (error: HeadroomError): void => controller.abort(error);
  const callerGone = (): void => abort(callerGoneError());
  const { callerSignal, deadlineLeftMs } = options;
  let timer: Timer | undefined;
  if (deadlineLeftMs !== null)
    timer = options.timers.after(deadlineLeftMs, () => abort(deadlineError()), { keepAlive: false });
  if (callerSignal?.aborted === true) callerGone();
  else callerSignal?.addEventListener("abort", callerGone, { once: true });
  return {
    signal: controller.signal,
    abort,
    close() {
      timer?.cancel();
      callerSignal?.removeEventListener("abort", callerGone);
    },
  };
}

/** The promise's outcome, or the signal's reason if that comes first. What comes too late is dropped. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    // A scope aborts with errors only.
    const aborted = (): void => reject(signal.reason as HeadroomError);
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

export function callerGoneError(): HeadroomError {
  return new HeadroomError({
    code: "CANCELLED",
    reason: "CALLER_GONE",
    message: "the caller cancelled the call, or its connection was lost",
  });
}

function deadlineError(): HeadroomError {
  return new HeadroomError({
    code: "DEADLINE_EXCEEDED",
    reason: "DEADLINE_EXCEEDED",
    message:
      "the call took longer than the caller allowed; what it began may still be done: ask again, or allow more time",
  });
}

export function serverStoppingError(server: string): HeadroomError {
  return new HeadroomError({
    code: "UNAVAILABLE",
    reason: "SERVER_STOPPING",
    message: `the ${server} is stopping; connect again, to it or to another one`,
    retryAfterMs: 1_000,
  });
}
