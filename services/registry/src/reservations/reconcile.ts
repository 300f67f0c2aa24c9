/**
 * Brings the reservations of an agent in line with the latest complete list of what it runs: what it lists is confirmed
 * or adopted, what was confirmed and is no longer listed has ended. Asked again, it changes nothing.
 */
import { type EpochMs, type ReservationChange, reservationStep, type Sample } from "@headroom/scheduling";
import type { StoredAgent, StoredReservation } from "../store/stored-agent.ts";
import type { Draft } from "./draft.ts";
import { stored } from "./operation.ts";

export interface Reconciled {
  readonly change: ReservationChange;
  readonly reservation: StoredReservation;
}

/** A complete list of attempts has come. */
export interface Report {
  readonly by: "hello" | "beat";
  /** Of the session over which it came. When another one has followed, the sample at hand is not of this list any more. */
  readonly epoch: number;
  /**
   * By the store's clock, a time after which the agent made the list: what it lists ran then. For an agent that does not say what it
   * has heard, the time when its list came: as good as true, unless the list was long on its way.
   */
  readonly madeAfterMs: EpochMs;
}

export interface Comparison {
  readonly changes: readonly Reconciled[];
  /** Of the changes, attempts of which nothing was known: nobody in this fleet has asked for their room, as far as is remembered. */
  readonly unknown: number;
  /** The list may be older than the end of something that it lists: only a newer one can tell whether that still runs. */
  readonly isOutdated: boolean;
}

export function reconcile(draft: Draft, agentId: string, { by, epoch, madeAfterMs }: Report): Comparison {
  const agent = draft.agent(agentId);
  const attempts = agent?.sample?.attempts;
  if (agent?.epoch !== epoch || attempts === undefined) return { changes: [], unknown: 0, isOutdated: false };
  let isOutdated = false;
  let unknown = 0;
  const listed = new Set(attempts.map(({ attemptId }) => attemptId));
  const changes: Reconciled[] = [];
  const keep = (known: StoredReservation | undefined, outcome: ReturnType<typeof reservationStep>): void => {
    if (outcome.kind !== "changed") return;
    const reservation = stored(outcome.reservation, known, draft.nowMs);
    draft.put(reservation);
    changes.push({ change: outcome.change, reservation });
  };
  for (const { attemptId, fence, used } of attempts) {
    const known = draft.reservation(attemptId);
    if (known === undefined) unknown += 1;
    // Its agent may have said meanwhile that it is over. To adopt it would take room that others have been given since.
    const isEnded = known?.state === "released" && known.fence >= fence;
    if (isEnded && (known.releasedAtMs ?? 0) >= madeAfterMs) {
      isOutdated = true;
      continue;
    }
    keep(known, reservationStep(known ?? null, { type: "sampled", attemptId, agentId, fence, used }, draft.nowMs));
  }
  for (const known of agent.reservations.held()) {
    if (listed.has(known.attemptId)) continue;
    keep(known, reservationStep(known, { type: "omitted", by }, draft.nowMs));
  }
  return { changes, unknown, isOutdated };
}

/** Whether the sample says anything about attempts that the reservations do not say yet. Cheap: most beats carry nothing new. */
export function listsOtherAttempts(agent: StoredAgent, sample: Sample): boolean {
  const listed = new Set<string>();
  for (const { attemptId, fence } of sample.attempts) {
    listed.add(attemptId);
    const known = agent.reservations.get(attemptId);
    if (known === undefined || known.fence < fence) return true;
    if (known.state !== "confirmed" && known.state !== "adopted") return true;
  }
  for (const { attemptId, state } of agent.reservations.held()) {
    if ((state === "confirmed" || state === "adopted") && !listed.has(attemptId)) return true;
  }
  return false;
}
