import type { HeadroomError } from "@headroom/rpc";
import { lifecycle, sleep, type Logger, type ManagedService, type Ports } from "@headroom/runtime";
import { isTransient, reconnectDelayMs } from "./backoff.ts";

/** How a session with a service ended. */
export interface SessionEnd {
  /** The service had answered: the next failure is the first of a new row. */
  readonly wasUp: boolean;
  readonly error: HeadroomError | null;
  /** The service asked to come back, spread over this time; null: it did not. */
  readonly reconnectWithinMs: number | null;
}

export interface KeepConnectedOptions {
  readonly name: string;
  readonly ports: Ports;
  readonly logger: Logger;
  /** One session, from the opening of the stream to its close. After `signal` aborts it says goodbye and ends soon. Never rejects. */
  session(signal: AbortSignal): Promise<SessionEnd>;
}

/** Holds one session after another, for ever: an agent never gives a service up. */
export function keepConnected(options: KeepConnectedOptions): ManagedService {
  let abort = new AbortController();
  let finished: Promise<void> = Promise.resolve();
  return lifecycle({
    name: options.name,
    start() {
      abort = new AbortController();
      finished = loop(options, abort.signal);
    },
    stop(reason) {
      abort.abort(new Error(`${options.name} stops: ${reason}`));
      return finished;
    },
  });
}

async function loop(options: KeepConnectedOptions, signal: AbortSignal): Promise<void> {
  const { ports, logger, name } = options;
  let failures = 0;
  let saidCode: string | undefined;
  while (!signal.aborted) {
    const end = await options.session(signal);
    if (signal.aborted) return;
    failures = end.wasUp ? 1 : failures + 1;
    const delayMs =
      end.reconnectWithinMs === null
        ? reconnectDelayMs(failures, end.error, ports.random.next())
        : end.reconnectWithinMs * ports.random.next();
    // A service that stays away is said once, and not with every try.
    const code = end.error?.reason ?? "ENDED";
    const isNews = end.wasUp || code !== saidCode;
    saidCode = code;
    const fields = { reason: code, failures, retry_in_ms: Math.round(delayMs) };
    const said = end.error === null ? "" : `: ${end.error.message}`;
    if (!isNews) logger.debug({ ...fields, err: end.error ?? undefined }, `${name}: still no connection`);
    // A service that stops or restarts is no fault of the program: where in it that was noticed helps nobody.
    else if (isTransient(end.error)) logger.info(fields, `${name}: the stream ended; coming back${said}`);
    else
      logger.error(
        { ...fields, err: end.error ?? undefined },
        `${name}: refused; somebody has to act, trying on${said}`,
      );
    await sleep(ports.timers, delayMs, signal).catch(() => undefined);
  }
}
