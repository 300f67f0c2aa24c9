import { HeadroomError, type RpcCode } from "../errors.ts";
import { clip } from "../status/clip.ts";
import { codeOf, fromGrpcStatus, type ReceivedStatus } from "../status/grpc-status.ts";

/** Which call it was, for the message. */
export interface CalledMethod {
  /** `headroom.registry.v1.CapacityService/GetAgentCapacity` */
  readonly method: string;
  /** "127.0.0.1:7401" */
  readonly address: string;
  /** What is missing when nothing answers. */
  readonly howToStart: string | undefined;
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

function unreachable(detail: string, { address, howToStart }: CalledMethod): Meaning {
  if (!/No connection established|Name resolution|ECONNREFUSED|ENOTFOUND/.test(detail)) {
    return {
      reason: "CONNECTION_LOST",
      message: `the connection to ${address} was lost (${detail}); try again`,
      retryAfterMs: reconnectHintMs,
    };
  }
  const cause = causeOf(detail);
  // What HTTP/2 calls it when the other side speaks something else.
  const isOtherServer = cause.startsWith("Protocol error");
  const what = isOtherServer
    ? `what answers at ${address} is no gRPC server, perhaps it is the port of REST; give the address of gRPC`
    : `nothing answers at ${address} (${cause}); ${howToStart ?? 'start it with "headroom up", or give the right address'}`;
  return { reason: "SERVER_UNREACHABLE", message: what, retryAfterMs: reconnectHintMs };
}

/** What of grpc-js's sentence is about the failure: "No connection established. Last error: Error: connect E… ADDRESS. Resolution note: ". */
function causeOf(detail: string): string {
  return detail
    .replace(/^No connection established\. (?:Last error: )?(?:Error: )?/, "")
    .replace(/\.? Resolution note: ?$/, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, "");
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
