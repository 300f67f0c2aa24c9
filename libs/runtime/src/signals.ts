import { endProcess } from "./end-process.ts";
import { StoppedError, type Service } from "./lifecycle.ts";
import type { Logger } from "./logger-types.ts";
import type { Metrics } from "./metrics.ts";
import type { Ports } from "./ports.ts";
import { withTimeout } from "./timers.ts";

export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** `npm start` and `npx` hand Ctrl-C on although the terminal has told us already: what comes that soon after the first is its echo. */
export const signalEchoMs = 1_000;

/** The part of `process` that is used here; tests give their own. */
export interface ProcessPort {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Ends the process at once. */
  exit(code: number): void;
}

const thisProcess: ProcessPort = {
  on: (event, listener) => process.on(event, listener),
  off: (event, listener) => process.off(event, listener),
  exit: (code) => void endProcess(code),
};

export interface RunUntilSignalOptions {
  readonly logger: Logger;
  readonly ports: Ports;
  /** How long a graceful stop may take, in ms. Default 25,000 (below the 30 s after which Docker and systemd kill). */
  readonly stopTimeoutMs?: number;
  /** Another way to end it gracefully, beside the signals. */
  readonly until?: AbortSignal;
  /** Counts `process_unhandled_rejections_total`. */
  readonly metrics?: Metrics;
  readonly process?: ProcessPort;
}

const defaultStopTimeoutMs = 25_000;
const signalNumbers = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

type Ending = { readonly reason: string; readonly exitCode: 0 | 1 };

/**
 * Starts a service, waits for SIGTERM, SIGINT or SIGHUP (its terminal was closed), stops it gracefully within the time allowed, and resolves
 * with the exit code: 0, or 1 when the stop failed or took too long. Rejects with the error of a start that failed. Call it once per process,
 * as `await endProcess(await runUntilSignal(...))`: handles that a failed stop left open must not keep the process.
 *
 * A second signal exits at once (128 + its number), unless it is the echo of the first (`signalEchoMs`). An unhandled rejection is logged and counted, and the process lives; an uncaught
 * exception is logged, and the process stops gracefully and exits with 1: after it nobody knows what state it is in.
 */
export async function runUntilSignal(service: Service, options: RunUntilSignalOptions): Promise<number> {
  const watch = watchProcess(options);
  // Listening for signals alone does not keep Node running, and a service may hold nothing that does.
  const keepAlive = options.ports.timers.after(Number.POSITIVE_INFINITY, () => undefined);
  try {
    const started = service.start().then(
      () => "started" as const,
      (error: unknown) => {
        if (error instanceof StoppedError) return "started" as const;
        throw error;
      },
    );
    const first = await Promise.race([started, watch.ending]);
    const ending = first === "started" ? await watch.ending : first;
    // A start that fails now fails because it was stopped; the stop below waits for it.
    started.catch((error: unknown) => options.logger.warn({ err: error }, "the start was cut short"));
    return await stopInTime(service, ending, options);
  } finally {
    keepAlive.cancel();
    watch.close();
  }
}

async function stopInTime(service: Service, ending: Ending, options: RunUntilSignalOptions): Promise<number> {
  const { logger, ports, stopTimeoutMs = defaultStopTimeoutMs } = options;
  logger.info({ reason: ending.reason, stop_timeout_ms: stopTimeoutMs }, "stopping");
  try {
    await withTimeout(
      ports.timers,
      stopTimeoutMs,
      service.stop(ending.reason),
      () => new Error(`the stop took longer than ${stopTimeoutMs / 1_000} s and was given up`),
    );
    logger.info("stopped");
    return ending.exitCode;
  } catch (error) {
    logger.error({ err: error }, "the stop failed");
    return 1;
  }
}

function watchProcess(options: RunUntilSignalOptions): { ending: Promise<Ending>; close(): void } {
  const { logger, ports, until } = options;
  const target: ProcessPort = options.process ?? thisProcess;
  const rejections = options.metrics?.counter(
    "process_unhandled_rejections_total",
    "Promises that failed with nobody to hear it: each is a bug",
  );
  let resolveEnding: (ending: Ending) => void;
  const ending = new Promise<Ending>((resolve) => {
    resolveEnding = resolve;
  });
  let isEnding = false;
  const end = (next: Ending): void => {
    isEnding = true;
    resolveEnding(next);
  };

  let first: { readonly signal: StopSignal; readonly atMs: number } | null = null;
  const isEcho = (signal: StopSignal): boolean => {
    if (first === null || ports.clock.monotonic() - first.atMs > signalEchoMs) return false;
    // A session that ends sends SIGTERM and SIGHUP together (systemd's SendSIGHUP).
    return signal === first.signal || signal === "SIGHUP" || first.signal === "SIGHUP";
  };
  const onSignal = (signal: StopSignal) => (): void => {
    if (isEcho(signal)) return;
    if (isEnding) {
      logger.warn({ signal }, "told again to stop: exiting at once");
      target.exit(128 + signalNumbers[signal]);
      return;
    }
    first = { signal, atMs: ports.clock.monotonic() };
    end({ reason: signal, exitCode: 0 });
  };
  const onException = (error: unknown): void => {
    logger.error({ err: error }, "uncaught exception: stopping");
    // One while it stops already: nothing more can be hoped for.
    if (isEnding) target.exit(1);
    else end({ reason: "uncaught exception", exitCode: 1 });
  };
  const onRejection = (error: unknown): void => {
    rejections?.inc();
    logger.error({ err: error }, "unhandled rejection");
  };
  const onAbort = (): void => {
    if (!isEnding) end({ reason: "asked to stop", exitCode: 0 });
  };

  const listeners: readonly (readonly [string, (...args: unknown[]) => void])[] = [
    ["SIGINT", onSignal("SIGINT")],
    ["SIGTERM", onSignal("SIGTERM")],
    ["SIGHUP", onSignal("SIGHUP")],
    ["uncaughtException", onException],
    ["unhandledRejection", onRejection],
  ];
  for (const [event, listener] of listeners) target.on(event, listener);
  until?.addEventListener("abort", onAbort, { once: true });
  if (until?.aborted === true) onAbort();
  return {
    ending,
    close() {
      for (const [event, listener] of listeners) target.off(event, listener);
      until?.removeEventListener("abort", onAbort);
    },
  };
}
