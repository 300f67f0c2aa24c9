import type { Logger } from "@headroom/runtime";
import type { AgentCredential } from "./auth/agent-credential.ts";
import type { HeadroomError } from "./errors.ts";

/** What a caller may do; ordered by the method option headroom.common.v1.access. */
export type Role = "agent" | "planner" | "operator";

/** Who calls. */
export interface Caller {
  readonly roles: ReadonlySet<Role>;
  /** Address of the peer, for logs. */
  readonly peer: string;
  /** The agent that speaks, if it has shown a credential of its own; see `requireOwnId`. */
  readonly agent?: AgentCredential;
}

/** What a handler knows of the call it serves. */
export interface CallContext {
  /** Full name: `headroom.registry.v1.CapacityService/GetAgentCapacity`. */
  readonly method: string;
  /** From the caller's `x-request-id`, else made here. Also in every log line of `logger`. */
  readonly requestId: string;
  /** W3C trace context of the caller, as it sent it; null when it sent none that is well-formed. */
  readonly traceparent: string | null;
  /** Aborted when the caller goes away, the deadline passes or the server stops. */
  readonly signal: AbortSignal;
  /** Time left when the call arrived; null without a deadline. */
  readonly deadlineLeftMs: number | null;
  /** The caller's gRPC has sent this call before and got no answer: that one may have been carried out. */
  readonly isRepeat: boolean;
  readonly caller: Caller;
  readonly logger: Logger;
}

export type UnaryHandler<Request, Response> = (request: Request, context: CallContext) => Promise<Response>;

/** Messages are pulled one by one as the reader takes them, so a slow reader costs no memory. */
export type ServerStreamHandler<Request, Response> = (
  request: Request,
  context: CallContext,
) => AsyncIterable<Response>;

/** One side of a stream that talks both ways. Callbacks, not iterators: thousands of these live in one process. */
export interface DuplexStream<In, Out> {
  /** Each message in order. Throwing (or rejecting) fails the stream with that error. Set all handlers synchronously. */
  onMessage(handler: (message: In) => void | Promise<void>): void;
  /** The peer ended its side (a `kill -9` of the peer looks the same). */
  onPeerEnd(handler: () => void): void;
  /** Exactly once, last, whatever the cause; `error` is null after a clean end. */
  onClose(handler: (error: HeadroomError | null) => void): void;
  /** Queues a message. False when the transport's buffer is full: hold back until `onDrain`. After close: does nothing, answers false. */
  send(message: Out): boolean;
  onDrain(handler: () => void): void;
  /** Ends our side after what was sent. */
  end(): void;
  /** Ends the stream with an error (server) or cancels it (client). */
  fail(error: HeadroomError): void;
}

export type DuplexHandler<Request, Response> = (stream: DuplexStream<Request, Response>, context: CallContext) => void;
