import { backoffMs } from "@headroom/scheduling";
import type { HeadroomError } from "@headroom/rpc";

// The first return comes within half a second, so that a restarted service on this machine is found at once; a fleet
// that has lost its service spreads over 8 s.
const ordinary = { baseMs: 500, maxMs: 8_000 } as const;
// A refusal that only a person can lift (a wrong token) is asked about once a minute in the end. At first more often: an agent that
// was restarted at once is taken for a clone for as long as the old stream is not missed.
const refused = { baseMs: 2_000, maxMs: 60_000 } as const;

/** Whether a stream's end is one of those that pass by themselves: the service is away, restarts or is in trouble. */
export function isTransient(error: HeadroomError | null): boolean {
  if (error === null) return true;
  switch (error.code) {
    case "CANCELLED":
    case "INTERNAL":
    case "UNAVAILABLE":
    case "DEADLINE_EXCEEDED":
    case "ABORTED":
    case "RESOURCE_EXHAUSTED":
    case "UNKNOWN":
      return true;
    case "INVALID_ARGUMENT":
    case "NOT_FOUND":
    case "ALREADY_EXISTS":
    case "PERMISSION_DENIED":
    case "FAILED_PRECONDITION":
    case "OUT_OF_RANGE":
    case "UNIMPLEMENTED":
    case "DATA_LOSS":
    case "UNAUTHENTICATED":
      return false;
  }
}

/** How long to wait before the next try, after `failures` in a row (1 or more). Never "no more". `random` is in [0, 1). */
export function reconnectDelayMs(failures: number, error: HeadroomError | null, random: number): number {
  const wait = backoffMs(failures, isTransient(error) ? ordinary : refused, random);
  return Math.max(wait, error?.retryAfterMs ?? 0);
}
