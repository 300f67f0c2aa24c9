/** The canonical gRPC codes that Headroom answers with. */
export type RpcCode =
  | "CANCELLED"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED"
  | "UNKNOWN";

/** One field of a request that cannot be accepted. */
export interface FieldViolation {
  /** Path in the request as the .proto names it, such as `plan.tasks[3].name`. */
  readonly field: string;
  /** What is wrong and how to write it right. */
  readonly description: string;
}

export interface HeadroomErrorOptions {
  readonly code: RpcCode;
  /** Stable, upper-case: `AGENT_NOT_FOUND`. Programs switch on it. */
  readonly reason: string;
  /** For a person: what happened, and the way out. Nothing of the inside of a service. */
  readonly message: string;
  readonly fieldViolations?: readonly FieldViolation[];
  /** Present where waiting helps. */
  readonly retryAfterMs?: number;
  /** Extra facts for programs, in ErrorInfo.metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An error that may cross an RPC: becomes a status with google.rpc.ErrorInfo, BadRequest and RetryInfo, on gRPC and REST alike. */
export class HeadroomError extends Error {
  readonly code: RpcCode;
  readonly reason: string;
  readonly fieldViolations: readonly FieldViolation[];
  readonly retryAfterMs: number | null;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(options: HeadroomErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "HeadroomError";
    this.code = options.code;
    this.reason = options.reason;
    this.fieldViolations = options.fieldViolations ?? [];
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.metadata = options.metadata ?? {};
  }
}

/** INVALID_ARGUMENT that names each field at fault. */
export function invalidArgument(violations: readonly FieldViolation[], reason = "INVALID_REQUEST"): HeadroomError {
  const message = violations.map((violation) => `${violation.field}: ${violation.description}`).join("; ");
  return new HeadroomError({ code: "INVALID_ARGUMENT", reason, message, fieldViolations: violations });
}

/** NOT_FOUND of one named thing. */
export function notFound(
  reason: string,
  message: string,
  metadata: Readonly<Record<string, string>> = {},
): HeadroomError {
  return new HeadroomError({ code: "NOT_FOUND", reason, message, metadata });
}

/** FAILED_PRECONDITION: the request is right, the state is not. */
export function failedPrecondition(reason: string, message: string): HeadroomError {
  return new HeadroomError({ code: "FAILED_PRECONDITION", reason, message });
}

/** UNAVAILABLE: try again after the time given. */
export function unavailable(reason: string, message: string, retryAfterMs: number, cause?: unknown): HeadroomError {
  return new HeadroomError({ code: "UNAVAILABLE", reason, message, retryAfterMs, cause });
}

/** UNIMPLEMENTED: part of the contract, not built yet. */
export function unimplemented(what: string): HeadroomError {
  return new HeadroomError({
    code: "UNIMPLEMENTED",
    reason: "NOT_BUILT_YET",
    message: `${what} is part of the contract and not built yet in this version`,
  });
}
