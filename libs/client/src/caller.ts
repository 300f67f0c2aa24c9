import type { CallOptions } from "@headroom/rpc";
import type { Logger, Ports } from "@headroom/runtime";
import type { Channels } from "./channels.ts";
import type { CallSettings } from "./types.ts";

/** What every part of the client shares. */
export interface ClientContext {
  readonly channels: Channels;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly timeoutMs: number;
}

/** Options of one unary call. */
export function callOptions(context: ClientContext, settings: CallSettings): CallOptions {
  return {
    deadlineMs: settings.timeoutMs ?? context.timeoutMs,
    ...(settings.signal !== undefined && { signal: settings.signal }),
    ...(settings.traceparent !== undefined && { traceparent: settings.traceparent }),
  };
}
