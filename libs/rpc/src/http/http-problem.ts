import { HeadroomError, type FieldViolation, type RpcCode } from "../errors.ts";

/** AIP-193's HTTP status of each code; 499 is what proxies write for a caller that left. */
const HTTP_STATUS: { readonly [C in RpcCode]: number } = {
  CANCELLED: 499,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  UNAUTHENTICATED: 401,
  UNKNOWN: 500,
};

export interface HttpProblemOptions {
  /** Where the code's own status does not say it: 405, 413, 415. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that is an error: what HeadroomError says, and how HTTP says it. */
export class HttpProblem extends Error {
  override readonly name = "HttpProblem";
  readonly error: HeadroomError;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(error: HeadroomError, options: HttpProblemOptions = {}) {
    super(error.message, { cause: error });
    this.error = error;
    this.status = options.status ?? HTTP_STATUS[error.code];
    this.headers = { ...standardHeaders(error), ...options.headers };
  }
}

function standardHeaders(error: HeadroomError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (error.code === "UNAUTHENTICATED") headers["www-authenticate"] = "Bearer";
  // Whole seconds are all that the header can say; a second is what "soon" means where nothing was said.
  if (error.code === "UNAVAILABLE" || error.retryAfterMs !== null) {
    headers["retry-after"] = String(Math.max(1, Math.ceil((error.retryAfterMs ?? 0) / 1000)));
  }
  return headers;
}

/** The one place where whatever was thrown becomes an answer. Anything unknown says nothing of the inside. */
export function toHttpProblem(thrown: unknown, requestId: string): HttpProblem {
  if (thrown instanceof HttpProblem) return thrown;
  if (thrown instanceof HeadroomError) return new HttpProblem(thrown);
  const message = `internal error; ask the operator to look for request_id ${requestId} in the log`;
  return new HttpProblem(new HeadroomError({ code: "INTERNAL", reason: "INTERNAL", message, cause: thrown }));
}

export interface ErrorBody {
  readonly error: {
    /** The HTTP status. */
    readonly code: number;
    readonly status: RpcCode;
    readonly message: string;
    readonly reason: string;
    readonly field_violations: readonly FieldViolation[];
    readonly request_id: string;
    readonly retry_after_ms?: number;
    readonly metadata?: Readonly<Record<string, string>>;
  };
}

export function errorBody(problem: HttpProblem, requestId: string): ErrorBody {
  const { error, status } = problem;
  return {
    error: {
      code: status,
      status: error.code,
      message: error.message,
      reason: error.reason,
      field_violations: error.fieldViolations.map(({ field, description }) => ({ field, description })),
      request_id: requestId,
      ...(error.retryAfterMs === null ? {} : { retry_after_ms: error.retryAfterMs }),
      ...(Object.keys(error.metadata).length === 0 ? {} : { metadata: error.metadata }),
    },
  };
}

/** A problem of HTTP itself, before any method is called. */
export function httpProblem(
  status: number,
  code: RpcCode,
  reason: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): HttpProblem {
  return new HttpProblem(new HeadroomError({ code, reason, message }), { status, headers });
}
