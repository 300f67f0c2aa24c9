import { wire } from "@headroom/contracts";
import { isFinalAttemptState } from "@headroom/scheduling";
import { holds } from "../../support/invariants/check-room.ts";
import type { AttemptChange, Facts, ReservationChange, Violation } from "../../support/invariants/facts.ts";
import { groupBy } from "../../support/invariants/timeline.ts";

/** What a caller or an agent was told has been done, by the database's clock. */
export interface Told {
  /** `ended`: the result of an attempt is durable, or was refused for good. */
  readonly what: "reserved" | "released" | "ended";
  readonly attemptId: string;
  readonly fence: number;
  readonly atMs: number;
}

const reserve = wire.CapacityServiceService.reserveCapacity.path;
const release = wire.CapacityServiceService.releaseCapacity.path;

/** What the answer to a call says has been done. */
export function toldBy(path: string, request: unknown, answer: unknown, atMs: number): readonly Told[] {
  if (path === reserve) {
    // The path says what they are.
    if ((request as wire.ReserveCapacityRequest).dryRun === true) return [];
    return (answer as wire.ReserveCapacityResponse).results.flatMap(({ attemptId, outcome }): readonly Told[] =>
      outcome?.$case === "reserved" ? [{ what: "reserved", attemptId, fence: outcome.value.fence, atMs }] : [],
    );
  }
  if (path === release) {
    const { attempts } = request as wire.ReleaseCapacityRequest;
    return (answer as wire.ReleaseCapacityResponse).results.flatMap(({ attemptId, outcome }, place): readonly Told[] =>
      outcome === wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED
        ? [{ what: "released", attemptId, fence: attempts[place]?.fence ?? 0, atMs }]
        : [],
    );
  }
  return [];
}

/** V27: what somebody was told has been done was committed before, whatever happened between the two. */
export function findUnkept(told: readonly Told[], { changes }: Facts): readonly Violation[] {
  const attempts = groupBy(
    changes.filter((change) => change.row === "attempt"),
    ({ attemptId }) => attemptId,
  );
  const reservations = groupBy(
    changes.filter((change) => change.row === "reservation"),
    ({ attemptId }) => attemptId,
  );
  return told.flatMap((one): readonly Violation[] => {
    const { what, attemptId, fence, atMs } = one;
    const isKept =
      what === "ended" ? hasEnded(one, attempts.get(attemptId)) : isWritten(one, reservations.get(attemptId) ?? []);
    if (isKept) return [];
    const sentence = `that attempt ${attemptId} (fence ${fence}) is ${what} was said at ${atMs}, and was not committed`;
    return [{ invariant: "V27", what: sentence }];
  });
}

/** Or was never given out, or is in force under a higher fence: what came under this one was refused. */
function hasEnded({ fence, atMs }: Told, changes: readonly AttemptChange[] | undefined): boolean {
  if (changes === undefined) return true;
  const before = changes.filter((change) => change.atMs <= atMs);
  return before.some((change) => change.fence > fence || isFinalAttemptState(change.state));
}

function isWritten({ what, fence, atMs }: Told, changes: readonly ReservationChange[]): boolean {
  return changes.some((change) => {
    if (change.atMs > atMs) return false;
    if (what === "reserved") return holds(change) && change.fence >= fence;
    // Whoever has taken it over since may have asked for room anew in the very same commit.
    return !holds(change) || change.fence > fence;
  });
}
