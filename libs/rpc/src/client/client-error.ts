import type { ClientTls } from "../auth/tls.ts";
import { HeadroomError, type RpcCode } from "../errors.ts";
import { clip } from "../status/clip.ts";
import { codeOf, fromGrpcStatus, type ReceivedStatus } from "../status/grpc-status.ts";
import { nameTheCa, tlsFailure } from "./tls-failure.ts";

/** Which call it was, for the message. */
export interface CalledMethod {
  /** `headroom.registry.v1.CapacityService/GetAgentCapacity` */
  readonly method: string;
  /** "127.0.0.1:7401" */
  readonly address: string;
  /** What is missing when nothing answers. */
  readonly howToStart: string | undefined;
  /** undefined: plaintext. */
  readonly tls: ClientTls | undefined;
}

const maxDetailChars = 300;
const reconnectHintMs = 1_000;

/** Whatever grpc-js reports as a HeadroomError: the server's own where it sent one, else what the transport's status means. */
export function toClientError(error: unknown, called: CalledMethod): HeadroomError {
  if (error instanceof HeadroomError) return error;
  if (!isStatus(error)) {
    const detail = error instanceof Error ? error.message : String(error);
    return new HeadroomError({
      code: "INTERNAL",
      reason: "CLIENT_FAULT",
      message: `${called.method} could not be called: ${detail}`,
      cause: error,
    });
  }
  return fromGrpcStatus(error, error) ?? fromTransport(error, called);
}

interface Meaning {
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** What a status means that the transport made up by itself, where that is more than its words. */
const transportMeanings: Partial<Record<RpcCode, (detail: string, called: CalledMethod) => Meaning>> = {
  UNAVAILABLE: unreachable,
  DEADLINE_EXCEEDED: (_detail, { address, method }) => ({
    reason: "DEADLINE_EXCEEDED",
    message: `${address} did not answer ${method} in time; it may still do what was asked: ask again, or allow more time`,
  }),
  CANCELLED: (_detail, { method }) => ({ reason: "CANCELLED", message: `${method} was cancelled` }),
  RESOURCE_EXHAUSTED: (detail, { method }) => ({
    reason: detail.includes("larger") ? "MESSAGE_TOO_LARGE" : "RESOURCE_EXHAUSTED",
    message: `${method}: ${detail}`,
  }),
  UNIMPLEMENTED: (_detail, { address, method }) => ({
    reason: "METHOD_UNKNOWN",
    message: `${address} does not serve ${method}; is it the right address, and of this version?`,
  }),
};

function fromTransport(status: ReceivedStatus, called: CalledMethod): HeadroomError {
  const code = codeOf(status);
  const detail = clip(status.details, maxDetailChars);
  const plain: Meaning = { reason: code, message: `${called.method}: ${detail === "" ? code : detail}` };
  const meaning = transportMeanings[code]?.(detail, called) ?? plain;
  return new HeadroomError({ code, cause: status, metadata: { address: called.address }, ...meaning });
}

function unreachable(detail: string, called: CalledMethod): Meaning {
  const { address, tls } = called;
  if (!/No connection established|Name resolution|ECONNREFUSED|ENOTFOUND/.test(detail)) {
    return {
      reason: "CONNECTION_LOST",
      message: `the connection to ${address} was lost (${detail}); try again`,
      retryAfterMs: reconnectHintMs,
    };
  }
  const cause = causeOf(detail);
  const refused = tls === undefined ? null : tlsFailure(cause, address, tls);
  const { reason, message } = refused ?? { reason: "SERVER_UNREACHABLE", message: whyUnreachable(cause, called) };
  return { reason, message, retryAfterMs: reconnectHintMs };
}

/** The other side took the connection and ended it before it said a word. */
const hungUp = /^(?:Failed to connect$|read ECONNRESET|write EPIPE|Connection closed before|Error \[ECONNRESET\])/;

function whyUnreachable(cause: string, { address, howToStart, tls }: CalledMethod): string {
  const inPlaintext = tls === undefined;
  // What HTTP/2 calls it when the other side speaks something else.
  if (cause.startsWith("Protocol error")) {
    const orTls = inPlaintext ? `, or, where it speaks TLS, ${nameTheCa}` : "";
    return `what answers at ${address} is no gRPC server, perhaps it is the port of REST; give the address of gRPC${orTls}`;
  }
  if (!hungUp.test(cause))
    return `nothing answers at ${address} (${cause}); ${howToStart ?? 'start it with "headroom up", or give the right address'}`;
  // So does a TLS server, and so does what stands before a service that is away.
  return inPlaintext
    ? `what answers at ${address} ends each connection without a word, perhaps it speaks TLS; ${nameTheCa}, or see whether the service runs`
    : `what answers at ${address} ends each connection over TLS without a word; see whether the service runs, and whether it asks for a certificate of another CA than that of ours`;
}

/** What of grpc-js's sentence is about the failure: "No connection established. Last error: Error: connect E… ADDRESS. Resolution note: ". */
function causeOf(detail: string): string {
  return detail
    .replace(/^No connection established\. (?:Last error: )?(?:Error: )?/, "")
    .replace(/\.? Resolution note: ?$/, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, "")
    .trim();
}

function isStatus(error: unknown): error is ReceivedStatus {
  return (
    typeof error === "object" &&
    error !== null &&
    typeof Reflect.get(error, "code") === "number" &&
    typeof Reflect.get(error, "details") === "string"
  );
}

/** The caller itself gave up. */
export function cancelledError(method: string, signal: AbortSignal): HeadroomError {
  if (signal.reason instanceof HeadroomError) return signal.reason;
  return new HeadroomError({
    code: "CANCELLED",
    reason: "CANCELLED",
    message: `${method} was cancelled by its caller`,
    cause: signal.reason,
  });
}

export function channelClosedError(address: string): HeadroomError {
  return new HeadroomError({
    code: "CANCELLED",
    reason: "CHANNEL_CLOSED",
    message: `the channel to ${address} was closed by this program`,
  });
}
