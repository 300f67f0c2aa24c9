import type { Logger } from "@headroom/runtime";
import type { CallContext, Caller } from "../call.ts";

export interface ServerCallContextOptions {
  readonly method: string;
  readonly requestId: string;
  readonly traceparent: string | null;
  readonly signal: AbortSignal;
  readonly deadlineLeftMs: number | null;
  readonly isRepeat: boolean;
  readonly caller: Caller;
  readonly parentLogger: Logger;
}

/** What a handler sees of its call. The logger is made when it is first used: most calls never log. */
export class ServerCallContext implements CallContext {
  readonly method: string;
  readonly requestId: string;
  readonly traceparent: string | null;
  readonly signal: AbortSignal;
  readonly deadlineLeftMs: number | null;
  readonly isRepeat: boolean;
  readonly caller: Caller;
  readonly #parentLogger: Logger;
  #logger: Logger | undefined;

  constructor(options: ServerCallContextOptions) {
    this.method = options.method;
    this.requestId = options.requestId;
    this.traceparent = options.traceparent;
    this.signal = options.signal;
    this.deadlineLeftMs = options.deadlineLeftMs;
    this.isRepeat = options.isRepeat;
    this.caller = options.caller;
    this.#parentLogger = options.parentLogger;
  }

  get logger(): Logger {
    this.#logger ??= this.#parentLogger.child({ request_id: this.requestId, rpc_method: this.method });
    return this.#logger;
  }
}
