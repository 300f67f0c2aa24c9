import { holds, isNewPromise, promisesByAgent } from "../../support/invariants/check-room.ts";
import type { Facts, ReservationChange, Violation } from "../../support/invariants/facts.ts";
import type { World } from "./world.ts";

/**
 * A machine that sleeps says nothing: it is doubted after three beats, by a look a second, and another registry process knows of that some seconds later. Before its
 * connections are given up.
 */
const doubtedWithinMs = 28_000;

/** V14 by what machines really did: nothing is promised on one that has slept for longer than it takes to doubt it. */
export function findPromisedAsleep({ machines, postgres, engine }: World, facts: Facts): readonly Violation[] {
  const aheadMs = postgres.nowMs - engine.wallMs;
  const perAgent = promisesByAgent(facts.changes);
  return machines.flatMap(({ agentId, name, naps }) => {
    const promised = new Map<string, ReservationChange>();
    return (perAgent.get(agentId) ?? []).flatMap((change): readonly Violation[] => {
      const isNew = isNewPromise(promised.get(change.attemptId), change);
      if (holds(change)) promised.set(change.attemptId, change);
      else promised.delete(change.attemptId);
      const atMs = change.atMs - aheadMs;
      const nap = naps.find(({ fromMs, toMs }) => atMs > fromMs + doubtedWithinMs && atMs < (toMs ?? Infinity));
      if (!isNew || nap === undefined) return [];
      if (facts.stalls?.some(({ fromMs, toMs }) => change.atMs >= fromMs && change.atMs <= toMs) === true) return [];
      const what = `at ${change.atMs} room on ${name} was promised to ${change.attemptId}; it had slept for ${Math.round(atMs - nap.fromMs)} ms`;
      return [{ invariant: "V14", what }];
    });
  });
}
