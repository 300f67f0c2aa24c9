/** What a call that failed says: of the registry, or of what it was asked. */
import { HeadroomError, type RpcCode } from "@headroom/rpc";
import type { PauseReason } from "@headroom/scheduling";

/** Codes that say nothing of what was asked: whatever is asked now would be answered so. */
const AWAY: ReadonlySet<RpcCode> = new Set<RpcCode>([
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
  "ABORTED",
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "UNIMPLEMENTED",
]);

/** Codes of a registry that has failed over a request, and does not say that the request is wrong. */
const FAILED: ReadonlySet<RpcCode> = new Set<RpcCode>(["INTERNAL", "UNKNOWN", "DATA_LOSS"]);

export function isAway(error: unknown): boolean {
  return error instanceof HeadroomError && AWAY.has(error.code);
}

/** What a registry process says that is there and cannot serve now, though another one behind the same name may. */
const UNFIT: ReadonlySet<string> = new Set(["DATABASE_UNAVAILABLE", "REGISTRY_STARTING"]);

export function isUnfit(error: unknown): boolean {
  return error instanceof HeadroomError && UNFIT.has(error.reason);
}

/**
 * Whether a process says so of itself. That its database does not answer is mostly said by all of them, and passes: one that is alone with it ends its
 * watches after a while.
 */
export function saysItCannotServe(error: unknown): boolean {
  return error instanceof HeadroomError && error.reason === "REGISTRY_STARTING";
}

/** Why a task waits of which the registry would not hear, though it heard of others. */
export interface RefusedAlone {
  readonly reason: PauseReason;
  readonly sentence: string;
  /** What the registry does, in a word. */
  readonly what: "refuses" | "fails";
  /** It may be otherwise in a moment: nothing says that the request is wrong. */
  readonly mayPass: boolean;
}

export function refusedAlone(error: unknown): RefusedAlone {
  const isRefused = error instanceof HeadroomError && !FAILED.has(error.code);
  const what = isRefused ? "refuses" : "fails";
  return {
    reason: isRefused ? "AWAITING_TURN" : "REGISTRY_UNAVAILABLE",
    sentence: `The registry ${what} to look for room for it: ${wordsOf(error)}`,
    what,
    mayPass: !isRefused || error.code === "RESOURCE_EXHAUSTED",
  };
}

export function cannotBeAsked(error: unknown): string {
  return `The registry cannot be asked: ${wordsOf(error)}`;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
