import type { Logger, Metrics, Ports } from "@headroom/runtime";
import type { AuthPolicy } from "../auth/auth-policy.ts";
import type { HeadroomError } from "../errors.ts";
import type { CallMeta, Method } from "../server/method-table.ts";
import { admit } from "./access.ts";
import { openCallScope, type CallScope } from "./call-scope.ts";
import { toHeadroomError, type MapError } from "./map-error.ts";
import { createCallObserver, type CallObserver } from "./observer.ts";
import { chooseRequestId } from "./request-id.ts";
import { readTraceparent } from "./traceparent.ts";
import { ServerCallContext } from "./server-call-context.ts";

export interface PipelineOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly metrics: Metrics | undefined;
  readonly auth: AuthPolicy;
  readonly mapError: MapError | undefined;
  readonly maxMessageBytes: number;
}

/** What the pipeline needs to know of a method. */
export type MethodFacts = Pick<Method, "name" | "kind" | "access">;

/** One call on its way through the steps: request id, deadline and signal, access, (decode, validate, handler,) error mapping, metrics and log. */
export interface CallInProgress {
  readonly requestId: string;
  readonly scope: CallScope;
  /** Access and what the handler is given. A promise only where the policy has to ask somebody. */
  admit(): ServerCallContext | Promise<ServerCallContext>;
  /** The error for the caller; the cause of an aborted call is what aborted it. */
  toError(error: unknown): HeadroomError;
  /** Ends the call; the first time counts. null: it went well. */
  end(error: HeadroomError | null): void;
}

/** The one chain through which every call goes, whatever its kind and transport. */
export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #observer: CallObserver;
  readonly #open = new Map<CallScope, MethodFacts>();

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#observer = createCallObserver({
      clock: options.ports.clock,
      logger: options.logger,
      metrics: options.metrics,
    });
  }

  get logger(): Logger {
    return this.#options.logger;
  }

  get maxMessageBytes(): number {
    return this.#options.maxMessageBytes;
  }

  /** Whether the caller would be admitted, as far as that can be told at once. */
  isAllowed(method: MethodFacts, meta: CallMeta): boolean {
    try {
      const caller = admit(this.#options.auth, method.name, method.access, meta);
      // Its answer is asked for again by the call.
      if (caller instanceof Promise) caller.catch(() => undefined);
      return true;
    } catch {
      return false;
    }
  }

  begin(method: MethodFacts, meta: CallMeta): CallInProgress {
    const { ports, auth, logger, mapError } = this.#options;
    const requestId = chooseRequestId(meta.requestId, ports.random);
    const { deadlineLeftMs } = meta;
    const scope = openCallScope({ timers: ports.timers, deadlineLeftMs, callerSignal: meta.signal });
    const record = this.#observer.begin(method.name, requestId, meta);
    const contextOf = (caller: ServerCallContext["caller"]): ServerCallContext =>
      new ServerCallContext({
        method: method.name,
        requestId,
        traceparent: readTraceparent(meta.traceparent),
        signal: scope.signal,
        deadlineLeftMs,
        isRepeat: meta.isRepeat ?? false,
        caller,
        parentLogger: logger,
      });
    this.#open.set(scope, method);
    return {
      requestId,
      scope,
      admit() {
        const caller = admit(auth, method.name, method.access, meta);
        return caller instanceof Promise ? caller.then(contextOf) : contextOf(caller);
      },
      // The scope aborts with errors of ours only.
      toError: (error) =>
        scope.signal.aborted ? (scope.signal.reason as HeadroomError) : toHeadroomError(error, requestId, mapError),
      end: (error) => {
        if (!this.#open.delete(scope)) return;
        scope.close();
        record.end(error);
      },
    };
  }

  /** Ends every call in progress of these kinds with an error. */
  abortAll(error: HeadroomError, kinds: ReadonlySet<Method["kind"]>): void {
    for (const [scope, method] of [...this.#open]) {
      if (kinds.has(method.kind)) scope.abort(error);
    }
  }

  /** Calls in progress. */
  get openCalls(): number {
    return this.#open.size;
  }
}
