import type { MethodAccess, MethodIdempotency, MethodStreaming } from "@headroom/contracts";
import type { DuplexCarrier } from "../pipeline/invoke-duplex.ts";

/** The least a caller must be; `open`: anyone who reaches the port. From the method option headroom.common.v1.access. */
export type AccessLevel = MethodAccess;

/** Whether a call may be repeated; from the method's idempotency_level. */
export type Idempotency = MethodIdempotency;

export type MethodKind = MethodStreaming;

/** What a transport knows of a call before it is admitted. */
export interface CallMeta {
  readonly transport: "grpc" | "http";
  /** Address of the caller, for logs. */
  readonly peer: string;
  /** The `authorization` header as it came. */
  readonly authorization: string | undefined;
  /** The `x-request-id` header as it came, or the result of `chooseRequestId` where the transport tells it to the caller. */
  readonly requestId: string | undefined;
  /** The `traceparent` header as it came. */
  readonly traceparent: string | undefined;
  /** Time left for the call; null: no deadline. */
  readonly deadlineLeftMs: number | null;
  /** Whether the caller's gRPC has sent the call before, and tries it again. Left out: no. */
  readonly isRepeat?: boolean;
  /** Aborted when the caller goes away. */
  readonly signal?: AbortSignal;
}

/** One method that is served, with the whole pipeline (access, validation, error mapping, metrics, logs) around its handler. */
export interface Method {
  /** `headroom.registry.v1.CapacityService/GetAgentCapacity` */
  readonly name: string;
  readonly kind: MethodKind;
  readonly access: AccessLevel;
  readonly idempotency: Idempotency;
  /** Full names of its messages: `headroom.registry.v1.GetAgentCapacityRequest`. */
  readonly requestType: string;
  readonly responseType: string;
  /** Whether the caller would be admitted; true where the policy has to ask somebody: the call itself tells. Nothing is noted of it. */
  isAllowed(meta: CallMeta): boolean;
  /** For `unary` methods. Rejects only with HeadroomError. */
  invokeUnaryBytes(request: Uint8Array, meta: CallMeta): Promise<Uint8Array>;
  /** For `server_stream` methods. Throws only HeadroomError; leaving the loop ends the handler. */
  invokeServerStreamBytes(request: Uint8Array, meta: CallMeta): AsyncIterable<Uint8Array>;
  /** For `duplex` methods. Never throws: what is wrong is told with the carrier's `fail`. */
  invokeDuplexBytes(meta: CallMeta, carrier: DuplexCarrier): void;
}

/** What a server serves: the one dispatch table under gRPC and REST. */
export interface MethodTable {
  get(name: string): Method | undefined;
  list(): readonly Method[];
}
