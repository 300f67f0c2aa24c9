import { type Amounts, isFinalAttemptState, NO_AMOUNTS } from "@headroom/scheduling";
import type { Facts, ReservationChange, Violation } from "./facts.ts";
import { overfull, plus } from "./room.ts";
import { byCommit, groupBy } from "./timeline.ts";

const isReservation = (change: Facts["changes"][number]): change is ReservationChange => change.row === "reservation";

export const holds = ({ state }: ReservationChange): boolean => state !== "released" && state !== "gone";

/** By agent, what changed of its promises; one that moves to another agent leaves the first. */
export function promisesByAgent(changes: Facts["changes"]): Map<string, ReservationChange[]> {
  const agentOf = new Map<string, string>();
  const perAgent = changes.filter(isReservation).flatMap((change): readonly ReservationChange[] => {
    const before = agentOf.get(change.attemptId);
    agentOf.set(change.attemptId, change.agentId);
    const moved = before !== undefined && before !== change.agentId;
    return moved ? [{ ...change, agentId: before, state: "gone" }, change] : [change];
  });
  return groupBy(perAgent, (change) => change.agentId);
}

/**
 * V10: no room is promised that a machine does not have, in any dimension and on any card, with all that is kept for others at that commit.
 * That an agent reports more than was promised (an attempt that had been given up and runs on is adopted) is no promise; V11 looks at
 * what runs.
 */
export function checkPromises({ changes, machines }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const perAgent = promisesByAgent(changes);
  for (const machine of machines) {
    const promised = new Map<string, ReservationChange>();
    for (const commit of byCommit(perAgent.get(machine.agentId) ?? [])) {
      let isPromise = false;
      for (const change of commit) {
        isPromise ||= isNewPromise(promised.get(change.attemptId), change);
        if (holds(change)) promised.set(change.attemptId, change);
        else promised.delete(change.attemptId);
      }
      if (!isPromise) continue;
      const all = [...promised.values()];
      const problem = overfull(
        machine,
        all.reduce<Amounts>((sum, { amounts }) => plus(sum, amounts), NO_AMOUNTS),
      );
      if (problem === null) continue;
      const whose = all.map(({ attemptId, state }) => `${attemptId} ${state}`).join(", ");
      violations.push({
        invariant: "V10",
        what: `at ${commit[0]?.atMs} agent ${machine.agentId} had promised ${problem}: ${whose}`,
      });
    }
  }
  return violations;
}

export function isNewPromise(before: ReservationChange | undefined, { state, amounts }: ReservationChange): boolean {
  if (state !== "unconfirmed" && state !== "hold") return false;
  return before === undefined || JSON.stringify(before.amounts) !== JSON.stringify(amounts);
}

/** V13: no room is kept for what has ended. */
export function checkLeaks({ changes, attempts, isOver }: Facts): readonly Violation[] {
  if (!isOver) return [];
  const last = new Map<string, ReservationChange>();
  for (const change of changes.filter(isReservation)) last.set(change.attemptId, change);
  const stateOf = new Map(attempts.map((attempt) => [attempt.attemptId, attempt.state]));
  return [...last.values()].filter(holds).flatMap((change) => {
    const state = stateOf.get(change.attemptId);
    if (state !== undefined && !isFinalAttemptState(state)) return [];
    const what = `agent ${change.agentId} keeps room for ${change.attemptId} (${change.state}), which is ${state ?? "no attempt"}`;
    return [{ invariant: "V13" as const, what }];
  });
}
