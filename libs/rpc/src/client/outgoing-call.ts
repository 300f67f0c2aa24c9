import { Metadata, type CallOptions as GrpcCallOptions } from "@grpc/grpc-js";
import type { CallOptions, MethodDefinition } from "../definition.ts";
import type { HeadroomError } from "../errors.ts";
import { grpcDeadlineIn } from "../grpc-deadline.ts";
import type { GrpcConnection } from "./channel.ts";
import { cancelledError, toClientError } from "./client-error.ts";

/** A method as its client needs it: without its types, which RpcClient gives back. */
export type AnyMethod = MethodDefinition<unknown, unknown>;

// grpc-js keeps the deadline in a timer of 32 bits (24.8 days) and lets a longer one fail at once.
const longestDeadlineMs = 2_000_000_000;

export function nameOf(method: AnyMethod): string {
  return method.path.slice(1);
}

/** The headers of a call. The request's id goes along, so that one id can be followed through all logs. */
export function outgoingMetadata(channel: GrpcConnection, options: CallOptions): Metadata {
  const metadata = new Metadata();
  metadata.set("x-request-id", options.requestId ?? channel.ports.random.uuid());
  if (options.traceparent !== undefined) metadata.set("traceparent", options.traceparent);
  if (channel.token !== undefined) metadata.set("authorization", `Bearer ${channel.token}`);
  return metadata;
}

export function outgoingOptions(deadlineMs: number | undefined): GrpcCallOptions {
  if (deadlineMs === undefined || deadlineMs > longestDeadlineMs) return {};
  return { deadline: grpcDeadlineIn(deadlineMs) };
}

export function errorOf(error: unknown, channel: GrpcConnection, method: AnyMethod): HeadroomError {
  const { address, howToStart, tls } = channel;
  return toClientError(error, { method: nameOf(method), address, howToStart, tls });
}

/** Calls `abort` when the caller's signal aborts or the channel is closed, until the returned function is called. */
export function watchAbort(
  channel: GrpcConnection,
  method: AnyMethod,
  signal: AbortSignal | undefined,
  abort: (error: HeadroomError) => void,
): () => void {
  const untrack = channel.track(abort);
  if (signal === undefined) return untrack;
  const aborted = (): void => abort(cancelledError(nameOf(method), signal));
  signal.addEventListener("abort", aborted, { once: true });
  return () => {
    signal.removeEventListener("abort", aborted);
    untrack();
  };
}
