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

/**
 * An error of a call as an error of the command; `describeField` says where a field stands in what the person wrote, and `knownWayOut` is
 * what the command knows better than this file.
 */
export function cliErrorOf(
  error: ClientError,
  describeField: (violation: FieldViolation) => string = fieldLine,
  knownWayOut: string | null = null,
): CliError {
  const details = error.fieldViolations.map(describeField);
  const rest = afterFirstField(error);
  const wayOut = knownWayOut ?? (rest === null || rest === "" ? wayOutOf(error) : rest);
  const message = details.length === 0 ? error.message : summaryOf(error, rest !== null);
  return new CliError({ message, reason: error.reason, details, ...(wayOut !== null && { wayOut }) });
}

export function fieldLine(violation: FieldViolation): string {
  return violation.field === "" ? violation.description : `${violation.field}: ${violation.description}`;
}

/**
 * A message may begin with its first field, which the details tell too: what follows it, or null when it does not begin so. That of an
 * invalid request is its fields and nothing else.
 */
function afterFirstField({ kind, message, fieldViolations: [first] }: ClientError): string | null {
  if (kind === "invalid" || first === undefined || first.field === "") return null;
  const beginning = fieldLine(first);
  return message.startsWith(beginning) ? message.slice(beginning.length).trim() : null;
}

/** What stands above the details; it need not repeat them. */
function summaryOf({ kind, message }: ClientError, isRepeated: boolean): string {
  if (kind === "invalid") return "the request is not valid";
  return isRepeated ? "the request cannot be met" : message;
}

/** Whether the service restarts, or is slow or busy now: to ask again may help. For a call that this program has not cancelled. */
export function isPassing({ kind, retryAfterMs }: ClientError): boolean {
  return kind === "unavailable" || kind === "timeout" || kind === "cancelled" || retryAfterMs !== null;
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
