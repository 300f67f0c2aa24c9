/** Whatever lives long. Both methods are idempotent and may be called in any order and at any time. */
export interface Service {
  /** Resolves when the service does its work; rejects, having left nothing behind, when it cannot. */
  start(): Promise<void>;
  /** Resolves when nothing of it runs any more. `reason` is for logs and for peers that are told. */
  stop(reason?: string): Promise<void>;
}

export type LifecycleState = "stopped" | "starting" | "running" | "stopping";

export interface ManagedService extends Service {
  readonly name: string;
  state(): LifecycleState;
}

export interface LifecycleOptions {
  readonly name: string;
  /** `signal` aborts when stop is called meanwhile. If it rejects it has cleaned up after itself: `stop` is then not called. */
  start(signal: AbortSignal): Promise<void> | void;
  /** Called exactly once for each start that succeeded. */
  stop?(reason: string): Promise<void> | void;
}

/** `start` was overtaken by `stop`. */
export class StoppedError extends Error {
  override readonly name = "StoppedError";
  constructor(service: string, reason: string) {
    super(`${service} was stopped (${reason})`);
  }
}

interface Run {
  readonly abort: AbortController;
  /** What the caller of start waits for. */
  readonly started: Promise<void>;
  /** Whether the start hook succeeded, and so the stop hook is owed. Never rejects. */
  readonly owesStop: Promise<boolean>;
  up: boolean;
}

/**
 * Makes a pair of hooks safe: starts share one start; a stop before a start does nothing; a stop during a start
 * aborts it, waits for it and undoes it; a start during a stop waits for that stop. It can be started again.
 */
export function lifecycle(options: LifecycleOptions): ManagedService {
  let run: Run | undefined;
  let stopping: Promise<void> | undefined;

  function begin(previousStop: Promise<void> | undefined): Run {
    const abort = new AbortController();
    const hook = (async () => {
      // A failure of that stop was told to whoever asked for it.
      await previousStop?.catch(() => undefined);
      abort.signal.throwIfAborted();
      await options.start(abort.signal);
    })();
    const begun: Run = {
      abort,
      owesStop: hook.then(
        () => true,
        () => false,
      ),
      started: hook.then(
        () => {
          abort.signal.throwIfAborted();
          begun.up = true;
        },
        (error: unknown) => {
          if (run === begun) run = undefined;
          throw error;
        },
      ),
      up: false,
    };
    return begun;
  }

  async function end(ending: Run, reason: string): Promise<void> {
    ending.abort.abort(new StoppedError(options.name, reason));
    if (await ending.owesStop) await options.stop?.(reason);
  }

  return {
    name: options.name,
    state() {
      if (run !== undefined) return run.up ? "running" : "starting";
      return stopping === undefined ? "stopped" : "stopping";
    },
    start() {
      run ??= begin(stopping);
      return run.started;
    },
    stop(reason = "asked to stop") {
      if (run === undefined) return stopping ?? Promise.resolve();
      const ended = end(run, reason);
      run = undefined;
      stopping = ended;
      const settled = (): void => {
        if (stopping === ended) stopping = undefined;
      };
      ended.then(settled, settled);
      return ended;
    },
  };
}

/**
 * Services as one: starts them in order, each after the one before is up, and stops them in reverse. When one cannot start,
 * those that had started are stopped and the error is passed on. One that fails to stop does not keep the others from stopping.
 */
export class ServiceGroup implements ManagedService {
  readonly name: string;
  readonly #services: readonly Service[];
  readonly #lifecycle: ManagedService;

  constructor(services: readonly Service[], name = "group") {
    this.name = name;
    this.#services = [...services];
    this.#lifecycle = lifecycle({
      name,
      start: (signal) => this.#startAll(signal),
      stop: (reason) => stopAll(this.#services, reason),
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

  async #startAll(signal: AbortSignal): Promise<void> {
    for (const [index, service] of this.#services.entries()) {
      try {
        signal.throwIfAborted();
        await startAbortably(service, signal);
      } catch (error) {
        // The first error is the cause; what fails while undoing would only hide it. The one that failed is stopped
        // too: it may have come up in the very moment of the abort, and else a stop does nothing.
        await stopAll(this.#services.slice(0, index + 1), "another part could not start").catch(() => undefined);
        throw error;
      }
    }
  }
}

/** Starts a service, and stops it as soon as `signal` aborts, so that a long start is cut short; throws its reason then. */
export async function startAbortably(service: Service, signal: AbortSignal): Promise<void> {
  let stopped: Promise<unknown> | undefined;
  const cut = (): void => {
    stopped = service.stop("stopped while starting").catch(() => undefined);
  };
  signal.addEventListener("abort", cut, { once: true });
  try {
    await service.start();
  } finally {
    signal.removeEventListener("abort", cut);
    await stopped;
  }
  signal.throwIfAborted();
}

async function stopAll(services: readonly Service[], reason: string): Promise<void> {
  const errors: unknown[] = [];
  for (const service of services.toReversed()) {
    try {
      await service.stop(reason);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} services failed to stop`);
}
