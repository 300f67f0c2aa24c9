import type { DuplexHandler, DuplexStream, ServerStreamHandler, UnaryHandler } from "./call.ts";

/** A method as ts-proto generates it (`outputServices=grpc-js`). */
export interface MethodDefinition<Request, Response> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly requestDeserialize: (value: Buffer) => Request;
  readonly responseSerialize: (value: Response) => Buffer;
  readonly responseDeserialize: (value: Buffer) => Response;
}

interface MethodShape {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  // Method bivariance is wanted here: a definition is matched by shape, its types are inferred below.
  requestDeserialize(value: Buffer): unknown;
  responseDeserialize(value: Buffer): unknown;
}

/** A service as ts-proto generates it. */
export type ServiceDefinition = Readonly<Record<string, MethodShape>>;

export type RequestOf<M extends MethodShape> = ReturnType<M["requestDeserialize"]>;
export type ResponseOf<M extends MethodShape> = ReturnType<M["responseDeserialize"]>;

type HandlerOf<M extends MethodShape> = M["requestStream"] extends true
  ? DuplexHandler<RequestOf<M>, ResponseOf<M>>
  : M["responseStream"] extends true
    ? ServerStreamHandler<RequestOf<M>, ResponseOf<M>>
    : UnaryHandler<RequestOf<M>, ResponseOf<M>>;

/** One handler for each method of a service; a missing one does not compile. */
export type Implementation<D extends ServiceDefinition> = { readonly [K in keyof D]: HandlerOf<D[K]> };

/** What a caller may set on one call. */
export interface CallOptions {
  /** Time the call may take in all, retries included. Unary default: 10 s. Streams: none. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  readonly requestId?: string;
  /** W3C trace context that the call belongs to; kept with what the call changes. */
  readonly traceparent?: string;
}

type ClientMethodOf<M extends MethodShape> = M["requestStream"] extends true
  ? (options?: CallOptions) => DuplexStream<ResponseOf<M>, RequestOf<M>>
  : M["responseStream"] extends true
    ? (request: RequestOf<M>, options?: CallOptions) => AsyncIterable<ResponseOf<M>>
    : (request: RequestOf<M>, options?: CallOptions) => Promise<ResponseOf<M>>;

/** The typed client of a service: promises, async iterables, duplex streams; every failure is a HeadroomError. */
export type RpcClient<D extends ServiceDefinition> = { readonly [K in keyof D]: ClientMethodOf<D[K]> };
