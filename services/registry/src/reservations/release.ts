/** Gives promised room back. */
import { reservationStep } from "@headroom/scheduling";
import type { StoredReservation } from "../store/stored-agent.ts";
import type { Draft } from "./draft.ts";
import { type Operation, stored } from "./operation.ts";
import type { FencedAttempt } from "./renew.ts";

export type ReleaseResult =
  /** `ended` is what ended with this call; null: it had ended before. */
  | { readonly kind: "released"; readonly ended: StoredReservation | null }
  | { readonly kind: "not_found" }
  | { readonly kind: "stale_fence" };

export function releaseOperation(attempts: readonly FencedAttempt[]): Operation<readonly ReleaseResult[]> {
  return {
    name: "release",
    attemptIds: attempts.map(({ attemptId }) => attemptId),
    plan: (draft) => attempts.map((attempt) => releaseOne(draft, attempt)),
  };
}

function releaseOne(draft: Draft, { attemptId, fence }: FencedAttempt): ReleaseResult {
  const known = draft.reservation(attemptId);
  if (known === undefined) return { kind: "not_found" };
  const outcome = reservationStep(known, { type: "release", fence }, draft.nowMs);
  switch (outcome.kind) {
    case "changed": {
      const reservation = stored(outcome.reservation, known, draft.nowMs);
      draft.put(reservation);
      return { kind: "released", ended: known.state === "released" ? null : reservation };
    }
    case "unchanged":
    case "forgotten":
      return { kind: "released", ended: null };
    case "rejected":
      return { kind: outcome.reason === "STALE_FENCE" ? "stale_fence" : "not_found" };
  }
}
