import { wire } from "@headroom/contracts";
import { HeadroomError, type FieldViolation, type HeadroomErrorOptions, type RpcCode } from "../errors.ts";
import { numberOfCode } from "./status-code.ts";
import { clip } from "./clip.ts";

/** The domain of every reason that Headroom gives. */
export const errorDomain = "headroom.dev";

// The details travel in a header. Many peers refuse headers above 8 KiB in all, so what is told is bounded, and dropped where that is still too much.
const maxViolations = 16;
const maxDescriptionChars = 160;
const maxFieldChars = 120;
const maxMetadataEntries = 8;
const maxMetadataChars = 256;

const typeUrl = (name: string): string => `type.googleapis.com/google.rpc.${name}`;
const errorInfoUrl = typeUrl("ErrorInfo");
const badRequestUrl = typeUrl("BadRequest");
const retryInfoUrl = typeUrl("RetryInfo");

export interface StatusDetailsOptions {
  readonly requestId: string;
  /** What is encoded takes no more, as long as the message leaves room. */
  readonly maxBytes: number;
}

/**
 * The google.rpc.Status of an error: one ErrorInfo, BadRequest for fields, RetryInfo where waiting helps. Where there is no room for all, the
 * last of the fields are left out first, then the last of the facts; the request's id stays.
 */
export function encodeStatusDetails(error: HeadroomError, message: string, options: StatusDetailsOptions): Buffer {
  const facts = Object.entries({ request_id: options.requestId, ...error.metadata }).slice(0, maxMetadataEntries);
  const violations = error.fieldViolations.slice(0, maxViolations);
  for (;;) {
    const bytes = encodeDetails(error, message, facts, violations);
    if (bytes.length <= options.maxBytes || (violations.length === 0 && facts.length === 1)) return bytes;
    if (violations.length > 0) violations.pop();
    else facts.pop();
  }
}

type Fact = readonly [key: string, value: string];

function encodeDetails(
  error: HeadroomError,
  message: string,
  facts: readonly Fact[],
  violations: readonly FieldViolation[],
): Buffer {
  const details = [any(errorInfoUrl, wire.ErrorInfo.encode(errorInfo(error.reason, facts)).finish())];
  if (violations.length > 0) details.push(any(badRequestUrl, wire.BadRequest.encode(badRequest(violations)).finish()));
  if (error.retryAfterMs !== null)
    details.push(any(retryInfoUrl, wire.RetryInfo.encode({ retryDelay: duration(error.retryAfterMs) }).finish()));
  return Buffer.from(wire.Status.encode({ code: numberOfCode(error.code), message, details }).finish());
}

/** The error that the bytes tell of; null when they are no status of Headroom. */
export function decodeStatusDetails(
  bytes: Uint8Array,
  code: RpcCode,
  message: string,
  cause: unknown,
): HeadroomError | null {
  const details = readDetails(bytes);
  const info = find(details, errorInfoUrl, (value) => wire.ErrorInfo.decode(value));
  if (info === undefined || info.reason === "") return null;
  const violations = find(details, badRequestUrl, (value) => wire.BadRequest.decode(value))?.fieldViolations ?? [];
  const delay = find(details, retryInfoUrl, (value) => wire.RetryInfo.decode(value))?.retryDelay;
  const options: HeadroomErrorOptions = {
    code,
    reason: info.reason,
    message,
    metadata: info.metadata,
    fieldViolations: violations.map(({ field, description }) => ({ field, description })),
    cause,
  };
  return new HeadroomError(
    delay === undefined ? options : { ...options, retryAfterMs: delay.seconds * 1_000 + delay.nanos / 1_000_000 },
  );
}

function errorInfo(reason: string, facts: readonly Fact[]): wire.ErrorInfo {
  return {
    reason,
    domain: errorDomain,
    metadata: Object.fromEntries(facts.map(([key, value]) => [key, clip(value, maxMetadataChars)])),
  };
}

function badRequest(violations: readonly FieldViolation[]): wire.BadRequest {
  return {
    fieldViolations: violations.map((violation) =>
      wire.BadRequest_FieldViolation.fromPartial({
        field: clip(violation.field, maxFieldChars),
        description: clip(violation.description, maxDescriptionChars),
      }),
    ),
  };
}

function duration(ms: number): wire.Duration {
  const wholeMs = Math.max(0, Math.round(ms));
  return { seconds: Math.floor(wholeMs / 1_000), nanos: (wholeMs % 1_000) * 1_000_000 };
}

function any(url: string, value: Uint8Array): wire.Any {
  return { typeUrl: url, value: Buffer.from(value) };
}

/** A peer can send anything; what cannot be read tells nothing. */
function readDetails(bytes: Uint8Array): readonly wire.Any[] {
  try {
    return wire.Status.decode(bytes).details;
  } catch {
    return [];
  }
}

function find<T>(details: readonly wire.Any[], url: string, decode: (bytes: Uint8Array) => T): T | undefined {
  const detail = details.find((candidate) => candidate.typeUrl === url);
  if (detail === undefined) return undefined;
  try {
    return decode(detail.value);
  } catch {
    return undefined;
  }
}
