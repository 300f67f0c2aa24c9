import type { Metadata } from "@grpc/grpc-js";
import { grpcDeadlineLeftMs } from "../grpc-deadline.ts";
import type { CallMeta } from "./method-table.ts";

/** The part that all calls of grpc-js have. */
export interface GrpcCall {
  readonly metadata: Metadata;
  getPeer(): string;
  getDeadline(): Date | number;
  on(event: "cancelled", listener: () => void): unknown;
}

/** Told of every call when it begins, so that its connection counts as one that works. */
export type NoteCall = (call: GrpcCall) => void;

/** What the pipeline is told of a call that came over gRPC. */
export function grpcCallMeta(call: GrpcCall, signal: AbortSignal | undefined): CallMeta {
  const meta = {
    transport: "grpc" as const,
    peer: call.getPeer(),
    authorization: textHeader(call.metadata, "authorization"),
    requestId: textHeader(call.metadata, "x-request-id"),
    traceparent: textHeader(call.metadata, "traceparent"),
    deadlineLeftMs: grpcDeadlineLeftMs(call.getDeadline()),
    // Set by gRPC itself from the second try on.
    isRepeat: textHeader(call.metadata, "grpc-previous-rpc-attempts") !== undefined,
  };
  return signal === undefined ? meta : { ...meta, signal };
}

/** A signal that aborts when grpc-js says the call is over, by whichever side. */
export function cancelSignal(call: GrpcCall): AbortSignal {
  const controller = new AbortController();
  // grpc-js says so of every call at its end: with a reason given, no error and no stack is made for it.
  call.on("cancelled", () => controller.abort("the call is over"));
  return controller.signal;
}

function textHeader(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return typeof value === "string" ? value : undefined;
}
