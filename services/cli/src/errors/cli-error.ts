import type { FieldViolation } from "@headroom/rpc";
import type { ClientError } from "@headroom/client";

export interface CliErrorOptions {
  /** What happened, in one sentence. */
  readonly message: string;
  /** Stable, upper-case; printed behind the message. */
  readonly reason?: string;
  /** Each field at fault, or each line of a file. */
  readonly details?: readonly string[];
  /** The way out. */
  readonly wayOut?: string;
  readonly cause?: unknown;
}

/** A command cannot do what it was asked; everything in it is for the person who asked. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly reason: string | null;
  readonly details: readonly string[];
  readonly wayOut: string | null;

  constructor(options: CliErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = options.reason ?? null;
    this.details = options.details ?? [];
    this.wayOut = options.wayOut ?? null;
  }
}

/** An error of a call as an error of the command; `describeField` says where a field stands in what the person wrote. */
export function cliErrorOf(
  error: ClientError,
  describeField: (violation: FieldViolation) => string = fieldLine,
): CliError {
  const details = error.fieldViolations.map(describeField);
  // The message of an invalid request repeats its fields; once is enough.
  const message = error.kind === "invalid" && details.length > 0 ? "the request is not valid" : error.message;
  const wayOut = wayOutOf(error);
  return new CliError({ message, reason: error.reason, details, ...(wayOut !== null && { wayOut }) });
}

function fieldLine(violation: FieldViolation): string {
  return violation.field === "" ? violation.description : `${violation.field}: ${violation.description}`;
}

/** Where the service's own message does not say it already. */
function wayOutOf(error: ClientError): string | null {
  switch (error.kind) {
    case "timeout":
      return "the service is slow or stuck: try again, and look into its log if it stays so";
    case "exhausted":
      return error.retryAfterMs === null ? null : `try again in ${Math.ceil(error.retryAfterMs / 1_000)} s`;
    case "unavailable":
    case "not_found":
    case "invalid":
    case "unauthenticated":
    case "forbidden":
    case "conflict":
    case "precondition":
    case "unimplemented":
    case "cancelled":
    case "internal":
      return null;
  }
}
