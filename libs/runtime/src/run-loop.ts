import { lifecycle, type LifecycleState, type ManagedService } from "./lifecycle.ts";
import type { Ports } from "./ports.ts";
import { jitter } from "./random.ts";
import type { Timer } from "./timers.ts";

/** Why a run happens: "start", "interval", "retry" (after an error), or the cause given to `wake`. */
export type RunCause = string;

export interface RunLoopOptions {
  readonly name: string;
  readonly ports: Ports;
  /** From the beginning of one run to the beginning of the next, in ms, above 0. A run that takes longer skips beats, it never overlaps. */
  readonly intervalMs: number;
  /** One run, synchronous or a promise. `signal` aborts when the loop is stopped. An error is told to `onError` and never ends the loop. */
  run(signal: AbortSignal, cause: RunCause): unknown;
  /** Told of every error of a run; an error of its own is swallowed. */
  onError?(error: unknown, cause: RunCause): void;
  /** Wait after an error, until the next try that nobody asked for. Default 30,000. */
  readonly errorDelayMs?: number;
  /** How long after an error a wake is not heeded, so that a storm of events never hammers what is broken. Default: all of errorDelayMs. */
  readonly deafAfterErrorMs?: number;
  /** Spread of both waits, 0.1 for ± 10 %. Default 0. */
  readonly jitterFraction?: number;
  /** Whether the first run comes at the start and not one interval later. Default true. */
  readonly runAtStart?: boolean;
}

const defaultErrorDelayMs = 30_000;

/**
 * Runs something over and over: once per interval, and whenever it is woken. Never two runs at once; any number of wakes
 * before the next run are that one run. `stop` aborts the signal and waits for the run in progress (so a run must not await it).
 */
export class RunLoop implements ManagedService {
  readonly name: string;
  readonly #options: RunLoopOptions;
  readonly #lifecycle: ManagedService;
  #pendingWake: RunCause | undefined;
  /** Ends the present wait early; undefined while running or while deaf after an error. */
  #cutWait: (() => void) | undefined;
  #finished: Promise<void> = Promise.resolve();
  #abort = new AbortController();

  constructor(options: RunLoopOptions) {
    if (!(options.intervalMs > 0)) throw new RangeError(`${options.name}: intervalMs must be above 0`);
    this.name = options.name;
    this.#options = options;
    this.#lifecycle = lifecycle({
      name: options.name,
      start: () => {
        this.#abort = new AbortController();
        this.#finished = this.#loop(this.#abort.signal);
      },
      stop: (reason) => {
        this.#pendingWake = undefined;
        this.#abort.abort(new Error(`${options.name} stops: ${reason}`));
        return this.#finished;
      },
    });
  }

  start(): Promise<void> {
    return this.#lifecycle.start();
  }

  stop(reason?: string): Promise<void> {
    return this.#lifecycle.stop(reason);
  }

  state(): LifecycleState {
    return this.#lifecycle.state();
  }

  /**
   * Asks for a run as soon as the present one, or the time after an error in which wakes are not heeded, is over. Further wakes until then are the same
   * run, with the first one's cause. Does nothing while the loop is stopped.
   */
  wake(cause: RunCause): void {
    const state = this.#lifecycle.state();
    if (state === "stopped" || state === "stopping") return;
    this.#pendingWake ??= cause;
    this.#cutWait?.();
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { ports, intervalMs, errorDelayMs = defaultErrorDelayMs, runAtStart = true } = this.#options;
    let cause: RunCause = "start";
    if (!runAtStart) {
      await this.#wait(intervalMs, signal, true);
      cause = "interval";
    }
    while (!signal.aborted) {
      cause = this.#takeWake() ?? cause;
      const startedAtMs = ports.clock.monotonic();
      const ok = await this.#runOnce(signal, cause);
      const tookMs = ports.clock.monotonic() - startedAtMs;
      if (ok) await this.#wait(intervalMs - (tookMs % intervalMs), signal, true);
      else await this.#waitAfterError(errorDelayMs, signal);
      cause = ok ? "interval" : "retry";
    }
  }

  async #waitAfterError(delayMs: number, signal: AbortSignal): Promise<void> {
    const deafMs = Math.min(delayMs, this.#options.deafAfterErrorMs ?? delayMs);
    await this.#wait(deafMs, signal, false);
    if (deafMs < delayMs) await this.#wait(delayMs - deafMs, signal, true);
  }

  #takeWake(): RunCause | undefined {
    const cause = this.#pendingWake;
    this.#pendingWake = undefined;
    return cause;
  }

  async #runOnce(signal: AbortSignal, cause: RunCause): Promise<boolean> {
    try {
      await this.#options.run(signal, cause);
      return true;
    } catch (error) {
      // Being cut short by stop is not a fault of the run.
      if (!(signal.aborted && error === signal.reason)) this.#report(error, cause);
      return false;
    }
  }

  #report(error: unknown, cause: RunCause): void {
    try {
      this.#options.onError?.(error, cause);
    } catch {
      // Whoever reports errors has failed too; the loop goes on all the same.
    }
  }

  /** Waits for the time, the stop, or (if `wakeable`) a wake, one that is already pending included. Never rejects. */
  #wait(delayMs: number, signal: AbortSignal, wakeable: boolean): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || (wakeable && this.#pendingWake !== undefined)) return resolve();
      const { ports, jitterFraction = 0 } = this.#options;
      let timer: Timer | undefined;
      const end = (): void => {
        timer?.cancel();
        signal.removeEventListener("abort", end);
        this.#cutWait = undefined;
        resolve();
      };
      timer = ports.timers.after(jitter(ports.random, delayMs, jitterFraction), end);
      signal.addEventListener("abort", end, { once: true });
      if (wakeable) this.#cutWait = end;
    });
  }
}
