import type { Clock, LogFields, Logger, Metrics } from "@headroom/runtime";
import type { HeadroomError } from "../errors.ts";
import type { CallMeta } from "../server/method-table.ts";

/** Takes note of one call; made when it begins. */
export interface CallRecord {
  /** Exactly once. null: it went well. */
  end(error: HeadroomError | null): void;
}

export interface CallObserver {
  begin(method: string, requestId: string, meta: CallMeta): CallRecord;
}

export interface CallObserverOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics | undefined;
}

/** Counts, times and logs every call: faults of ours as errors with their stack, all else at debug. */
export function createCallObserver(options: CallObserverOptions): CallObserver {
  const { clock, logger, metrics } = options;
  const durations = metrics?.histogram(
    "rpc_server_call_duration_seconds",
    "Time from the arrival of a call to its end, streams included",
    ["rpc_method", "rpc_response_status_code"],
  );
  const open = metrics?.gauge("rpc_server_open_calls", "Calls in progress", ["rpc_method"]);

  return {
    begin(method, requestId, meta) {
      const startedMs = clock.monotonic();
      open?.inc({ rpc_method: method });
      return {
        end(error) {
          const durationMs = clock.monotonic() - startedMs;
          const code = error?.code ?? "OK";
          open?.dec({ rpc_method: method });
          durations?.observe({ rpc_method: method, rpc_response_status_code: code }, durationMs / 1_000);
          const fields = {
            request_id: requestId,
            rpc_method: method,
            code,
            duration_ms: Math.round(durationMs),
            peer: meta.peer,
            transport: meta.transport,
          };
          if (error === null) logger.debug(fields, "call answered");
          else logRefusal(logger, fields, error);
        },
      };
    },
  };
}

/** What the operator must mend stands out, with its cause; what the caller did is for those who look for it. */
function logRefusal(logger: Logger, fields: LogFields, error: HeadroomError): void {
  const told = { ...fields, reason: error.reason, detail: error.message };
  if (error.code === "INTERNAL" || error.code === "DATA_LOSS") {
    logger.error({ ...told, err: error.cause ?? error }, "call failed: a fault of this service");
  } else if (error.code === "UNAVAILABLE" && error.cause !== undefined) {
    logger.warn({ ...told, err: error.cause }, "call failed: something that this service needs is away");
  } else {
    logger.debug(told, "call refused");
  }
}
