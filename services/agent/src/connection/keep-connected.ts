import { type HeadroomError, isTlsFailure } from "@headroom/rpc";
import {
  createDeferred,
  lifecycle,
  sleep,
  type Deferred,
  type Logger,
  type ManagedService,
  type Ports,
} from "@headroom/runtime";
import { isTransient, reconnectDelayMs } from "./backoff.ts";
import { Leave, type LeaveReason } from "./leave.ts";

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
  /** One session, from the opening of the stream to its close. After `signal` aborts (with a `Leave`) it ends soon. Never rejects. */
  session(signal: AbortSignal): Promise<SessionEnd>;
}

export interface KeptConnection extends ManagedService {
  /** The machine is about to sleep: ends the session, and opens none until `resume`. Resolves when it is closed. */
  rest(): Promise<void>;
  /** The machine is back: a new session at once, in place of whatever there is. */
  resume(): void;
}

/** Holds one session after another, for ever: an agent never gives a service up. */
export function keepConnected(options: KeepConnectedOptions): KeptConnection {
  let loop: Loop | null = null;
  let finished: Promise<void> = Promise.resolve();
  const service = lifecycle({
    name: options.name,
    start() {
      loop = new Loop(options);
      finished = loop.run();
    },
    stop() {
      loop?.stop();
      return finished;
    },
  });
  return {
    name: service.name,
    start: () => service.start(),
    stop: (reason) => service.stop(reason),
    state: () => service.state(),
    rest: () => loop?.rest() ?? Promise.resolve(),
    resume: () => loop?.resume(),
  };
}

class Loop {
  readonly #options: KeepConnectedOptions;
  readonly #stopped = new AbortController();
  /** Ends the session, or the wait for the next one. */
  #current = new AbortController();
  /** Between sessions nobody has to be waited for. */
  #closed: Promise<unknown> = Promise.resolve();
  /** Set while no session may be opened. */
  #resting: Deferred<void> | null = null;
  #failures = 0;
  #saidCode: string | undefined;

  constructor(options: KeepConnectedOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      while (this.#resting !== null && !signal.aborted) await this.#resting.promise;
      if (signal.aborted) return;
      const { signal: leave } = (this.#current = new AbortController());
      const session = this.#options.session(leave);
      this.#closed = session;
      const end = await session;
      this.#closed = Promise.resolve();
      if (signal.aborted) return;
      // We left by ourselves: nothing has failed.
      if (leave.aborted) this.#failures = 0;
      else await this.#pause(end);
    }
  }

  stop(): void {
    this.#stopped.abort(new Leave("stop"));
    this.#leave("stop");
    this.#resting?.resolve();
  }

  async rest(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    this.#resting ??= createDeferred();
    this.#leave("sleep");
    await this.#closed;
  }

  resume(): void {
    const resting = this.#resting;
    this.#resting = null;
    this.#leave("reconnect");
    resting?.resolve();
  }

  #leave(why: LeaveReason): void {
    this.#current.abort(new Leave(why));
  }

  async #pause(end: SessionEnd): Promise<void> {
    const { ports, logger, name } = this.#options;
    this.#failures = end.wasUp ? 1 : this.#failures + 1;
    const failures = this.#failures;
    const delayMs =
      end.reconnectWithinMs === null
        ? reconnectDelayMs(failures, end.error, ports.random.next())
        : end.reconnectWithinMs * ports.random.next();
    // A service that stays away is said once, and not with every try.
    const code = end.error?.reason ?? "ENDED";
    const isNews = end.wasUp || code !== this.#saidCode;
    this.#saidCode = code;
    const fields = { err: end.error ?? undefined, failures, retry_in_ms: Math.round(delayMs) };
    if (!isNews) logger.debug(fields, `${name}: still no connection`);
    else if (end.error !== null && isTlsFailure(end.error))
      logger.warn(fields, `${name}: no connection over TLS; somebody has to act, trying on`);
    else if (isTransient(end.error)) logger.info(fields, `${name}: the stream ended; coming back`);
    else logger.error(fields, `${name}: refused; somebody has to act, trying on`);
    await sleep(ports.timers, delayMs, this.#current.signal).catch(() => undefined);
  }
}
