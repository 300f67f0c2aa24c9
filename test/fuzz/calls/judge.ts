/** What may be answered to rubbish, and what may not. */
import { wire } from "@headroom/client";
import type { RawAnswer } from "./h2-client.ts";

const names = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** A fault of ours, whoever sent what. */
const ourFault: ReadonlySet<string> = new Set(["UNKNOWN", "INTERNAL", "DATA_LOSS"]);

/**
 * What gRPC's own layer says before our code hears of a call. Its specification asks for INTERNAL where the framing is broken (compression
 * that does not unpack, a timeout that is none).
 */
const fromTheTransport: readonly RegExp[] = [
  /^Invalid grpc-timeout value/,
  /^Failed to decompress message/,
  /^Received message compressed with unsupported encoding/,
  /^Received message larger than max/,
  /^Received message that decompresses to a size larger/,
  /^Received (?:no|a second) request message/,
  /^The server does not implement the method/,
  /^Deadline exceeded$/,
];

/** A short word for the table of answers. */
export function codeOf(answer: RawAnswer): string {
  if (answer.grpcStatus !== null) return names[answer.grpcStatus] ?? `code ${answer.grpcStatus}`;
  if (answer.left) return "left open";
  if (answer.reset !== null) return "reset";
  return answer.httpStatus === null ? "nothing" : `http ${answer.httpStatus}`;
}

/** What is wrong with an answer; null: nothing. */
export function wrongAnswer(answer: RawAnswer): string | null {
  const code = codeOf(answer);
  if (answer.grpcStatus === 0 || answer.grpcStatus === null) return null;
  if (names[answer.grpcStatus] === undefined) return `${code} is no code of gRPC`;
  if (fromTheTransport.some((text) => text.test(answer.message))) return null;
  if (ourFault.has(code)) return `${code}: ${answer.message}`;
  const reason = reasonOf(answer);
  if (reason === null) return `${code} without a reason: ${answer.message}`;
  return /^[A-Z][A-Z0-9_]+$/.test(reason) ? null : `${code} with the reason ${JSON.stringify(reason)}`;
}

/** The reason that the details tell; null: there is none. */
function reasonOf({ details }: RawAnswer): string | null {
  if (details === null) return null;
  const status = wire.Status.decode(Buffer.from(details, "base64"));
  const info = status.details.find(({ typeUrl }) => typeUrl.endsWith("google.rpc.ErrorInfo"));
  return info === undefined ? null : wire.ErrorInfo.decode(info.value).reason;
}
