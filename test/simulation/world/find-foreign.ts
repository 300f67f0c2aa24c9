import { type Amounts, NO_AMOUNTS } from "@headroom/scheduling";
import { holds, isNewPromise, promisesByAgent } from "../../support/invariants/check-room.ts";
import type { Facts, ReservationChange, Violation } from "../../support/invariants/facts.ts";
import { plus } from "../../support/invariants/room.ts";
import { byCommit } from "../../support/invariants/timeline.ts";
import type { ForeignUse, Machine } from "./machine.ts";
import type { World } from "./world.ts";

/**
 * A sample is due every minute, and whoever has not been heard of for longer than the TTL is given nothing: by then the registry knows what an owner takes, or
 * promises nothing there.
 */
const knownWithinMs = 75_000;

/** V25: what an owner uses, and has been using for as long as it takes to be told, is promised to nobody. */
export function findForeignPromised({ machines, engine, postgres }: World, facts: Facts): readonly Violation[] {
  const aheadMs = postgres.nowMs - engine.wallMs;
  const perAgent = promisesByAgent(facts.changes);
  return machines.flatMap((machine) => {
    const promised = new Map<string, ReservationChange>();
    return byCommit(perAgent.get(machine.agentId) ?? []).flatMap((commit): readonly Violation[] => {
      const fresh = commit.filter((change) => isNewPromise(promised.get(change.attemptId), change));
      for (const change of commit) {
        if (holds(change)) promised.set(change.attemptId, change);
        else promised.delete(change.attemptId);
      }
      const atMs = commit[0]?.atMs ?? 0;
      if (facts.stalls?.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs) === true) return [];
      const sum = (changes: Iterable<ReservationChange>): Amounts =>
        [...changes].reduce<Amounts>((total, { amounts }) => plus(total, amounts), NO_AMOUNTS);
      const problem = tooMuch(machine, sum(promised.values()), sum(fresh), leastUse(machine, atMs - aheadMs));
      return problem === null ? [] : [{ invariant: "V25", what: `at ${atMs} ${machine.name} had promised ${problem}` }];
    });
  });
}

/** What its owner has been using all the time until then. */
function leastUse({ foreign }: Machine, atMs: number): ForeignUse {
  const during = foreign.filter(({ fromMs }, index) => {
    const endMs = foreign[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY;
    return fromMs <= atMs && endMs > atMs - knownWithinMs;
  });
  const least = (of: (use: ForeignUse) => number): number => Math.min(...during.map(of));
  return {
    cores: least(({ cores }) => cores),
    memoryMib: least(({ memoryMib }) => memoryMib),
    vramMib: least(({ vramMib }) => vramMib),
  };
}

/** Only of what was just promised: what ran before may be too much once its owner has come. */
function tooMuch({ shape }: Machine, all: Amounts, fresh: Amounts, foreign: ForeignUse): string | null {
  const beside = (promised: number, used: number, total: number, what: string): string | null =>
    used > 0 && promised + used > total ? `${promised} of ${total} ${what}, of which others used ${used}` : null;
  const cpu = beside(all.cpuMillicores, foreign.cores * 1_000, shape.cpuCores * 1_000, "millicores");
  const memory = beside(all.memoryMib, foreign.memoryMib, shape.memoryMib, "MiB");
  const cards = fresh.cards.map(({ cardId }) => {
    const promised = all.cards.reduce((sum, card) => sum + (card.cardId === cardId ? card.vramMib : 0), 0);
    const total = shape.cards[Number(cardId.replace("gpu-", ""))]?.vramMib ?? 0;
    return beside(promised, foreign.vramMib, total, `MiB of ${cardId}`);
  });
  return (
    (fresh.cpuMillicores > 0 ? cpu : null) ??
    (fresh.memoryMib > 0 ? memory : null) ??
    cards.find((card) => card !== null) ??
    null
  );
}
