import { type FieldViolation, HeadroomError, type RpcCode } from "@headroom/rpc";

/** What went wrong, in words that a program switches on. */
export type ClientErrorKind =
  /**
   * Nothing answers at the address, or the service cannot answer now. Worth another try after `retryAfterMs`. What was asked may have been
   * done: `dispatch` and `retry` are tried again with the error's `requestId`.
   */
  | "unavailable"
  /** No answer in time. Whether it was done is unknown; `dispatch` and `retry` are tried again with the error's `requestId`. */
  | "timeout"
  /** No such agent, plan or task. */
  | "not_found"
  /** The request is wrong; `fieldViolations` names each field. */
  | "invalid"
  /** No token, or a wrong one. */
  | "unauthenticated"
  /** The token's role may not do this. */
  | "forbidden"
  /** It exists already, with other contents; or someone else was faster. */
  | "conflict"
  /** The request is right and the state is not, such as cancelling a task that has ended. */
  | "precondition"
  /** A limit was reached. */
  | "exhausted"
  /** Part of the contract and not built yet. */
  | "unimplemented"
  /** The caller's own signal ended it, or the client was closed. */
  | "cancelled"
  /** A fault of the service; its log knows more. */
  | "internal";

/** An error as a value. */
export interface ClientError {
  readonly kind: ClientErrorKind;
  /** Canonical gRPC code. */
  readonly code: RpcCode;
  /** Stable, upper-case: `AGENT_NOT_FOUND`. */
  readonly reason: string;
  /** For a person: what happened, and the way out. */
  readonly message: string;
  readonly fieldViolations: readonly FieldViolation[];
  /** When waiting helps: how long. */
  readonly retryAfterMs: number | null;
  /**
   * Of `plans.dispatch` and `plans.retry`: the id that the call carried. Whoever calls again passes it as `requestId`, and it is done once,
   * even if this time it came through. null: the call has none.
   */
  readonly requestId: string | null;
  /** Further facts, by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The outcome of a call. */
export type Result<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "error"; readonly error: ClientError };

export const ok = <T>(value: T): Result<T> => ({ kind: "ok", value });

const kindOfCode: Readonly<Record<RpcCode, ClientErrorKind>> = {
  CANCELLED: "cancelled",
  INVALID_ARGUMENT: "invalid",
  DEADLINE_EXCEEDED: "timeout",
  NOT_FOUND: "not_found",
  ALREADY_EXISTS: "conflict",
  PERMISSION_DENIED: "forbidden",
  RESOURCE_EXHAUSTED: "exhausted",
  FAILED_PRECONDITION: "precondition",
  ABORTED: "conflict",
  OUT_OF_RANGE: "invalid",
  UNIMPLEMENTED: "unimplemented",
  INTERNAL: "internal",
  UNAVAILABLE: "unavailable",
  DATA_LOSS: "internal",
  UNAUTHENTICATED: "unauthenticated",
  UNKNOWN: "internal",
};

/** Any failure of a call as a value. */
export function toClientError(error: unknown): ClientError {
  if (error instanceof HeadroomError) {
    return {
      kind: kindOfCode[error.code],
      code: error.code,
      reason: error.reason,
      message: error.message,
      fieldViolations: error.fieldViolations,
      retryAfterMs: error.retryAfterMs,
      requestId: null,
      metadata: error.metadata,
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  const base = { message, fieldViolations: [], retryAfterMs: null, requestId: null, metadata: {} };
  // Found before anything was sent: the token file is missing or open to others, a TLS file cannot be read.
  if (error instanceof Error && error.name === "TokenFileError") {
    return { ...base, kind: "unauthenticated", code: "UNAUTHENTICATED", reason: "TOKEN_FILE" };
  }
  if (error instanceof Error && error.name === "TlsFileError") {
    return { ...base, kind: "invalid", code: "INVALID_ARGUMENT", reason: "TLS_FILE" };
  }
  return { ...base, kind: "internal", code: "UNKNOWN", reason: "CLIENT_FAULT" };
}

/** Runs a call and answers its outcome as a value. */
export async function attempt<T>(call: () => Promise<T>): Promise<Result<T>> {
  try {
    return ok(await call());
  } catch (error) {
    return { kind: "error", error: toClientError(error) };
  }
}

/** The one thing that an answer carries; the contract says that it is there, the wire cannot. */
export function present<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new HeadroomError({
    code: "INTERNAL",
    reason: "ANSWER_INCOMPLETE",
    message: `the service answered without ${what}: its version does not fit this client's`,
  });
}
