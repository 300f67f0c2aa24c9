import { HeadroomError } from "@headroom/rpc";

/** The errors that a client's side makes up, as the one over sockets does. */
export function connectionLost(address: string): HeadroomError {
  return new HeadroomError({
    code: "UNAVAILABLE",
    reason: "CONNECTION_LOST",
    message: `the connection to ${address} was lost (simulated)`,
    retryAfterMs: 1_000,
  });
}

export function nobodyThere(address: string): HeadroomError {
  return new HeadroomError({
    code: "UNAVAILABLE",
    reason: "SERVER_UNREACHABLE",
    message: `nothing answers at ${address} (simulated)`,
    retryAfterMs: 1_000,
  });
}

export function tooLate(address: string, method: string): HeadroomError {
  return new HeadroomError({
    code: "DEADLINE_EXCEEDED",
    reason: "DEADLINE_EXCEEDED",
    message: `${address} did not answer ${method} in time (simulated)`,
  });
}

export function callerGone(): HeadroomError {
  return new HeadroomError({
    code: "CANCELLED",
    reason: "CALLER_GONE",
    message: "the caller cancelled the call, or its connection was lost (simulated)",
  });
}

export function cancelled(method: string, reason: unknown): HeadroomError {
  if (reason instanceof HeadroomError) return reason;
  return new HeadroomError({
    code: "CANCELLED",
    reason: "CANCELLED",
    message: `${method} was cancelled by its caller`,
  });
}
