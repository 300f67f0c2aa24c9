/** Extends leases whose delivery has not been answered yet. */
import { reservationStep, unconfirmedLeaseMs } from "@headroom/scheduling";
import type { StoredReservation } from "../store/stored-agent.ts";
import type { Draft } from "./draft.ts";
import { type Operation, stored } from "./operation.ts";

/** An attempt, and the fence of the caller's claim on it. */
export interface FencedAttempt {
  readonly attemptId: string;
  readonly fence: number;
}

export type RenewResult =
  | { readonly kind: "renewed"; readonly reservation: StoredReservation }
  | { readonly kind: "not_found" }
  | { readonly kind: "stale_fence" };

export function renewOperation(
  attempts: readonly FencedAttempt[],
  heartbeatIntervalMs: number,
): Operation<readonly RenewResult[]> {
  const leaseMs = unconfirmedLeaseMs(heartbeatIntervalMs);
  return {
    name: "renew",
    attemptIds: attempts.map(({ attemptId }) => attemptId),
    plan: (draft) => attempts.map((attempt) => renewOne(draft, attempt, leaseMs)),
  };
}

function renewOne(draft: Draft, { attemptId, fence }: FencedAttempt, leaseMs: number): RenewResult {
  const known = draft.reservation(attemptId);
  const outcome = reservationStep(known ?? null, { type: "renew", fence, leaseMs }, draft.nowMs);
  switch (outcome.kind) {
    case "changed": {
      const reservation = stored(outcome.reservation, known, draft.nowMs);
      draft.put(reservation);
      return { kind: "renewed", reservation };
    }
    case "unchanged":
      return known === undefined ? { kind: "not_found" } : { kind: "renewed", reservation: known };
    case "forgotten":
      return { kind: "not_found" };
    case "rejected":
      return { kind: outcome.reason === "STALE_FENCE" ? "stale_fence" : "not_found" };
  }
}
