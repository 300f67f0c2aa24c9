/** Whether a change of an agent gave waiting work a reason to look again. */
import type { AgentView, DimensionRoom, Room } from "@headroom/scheduling";
import type { StoredAgent } from "../store/stored-agent.ts";
import { viewOf } from "./agent-views.ts";

/** True when work that did not fit before might fit now. It may err towards true, never towards false. */
export function roomAppeared(before: StoredAgent | null, after: StoredAgent | null): boolean {
  if (after === null) return false;
  const now = viewOf(after);
  if (!takesWork(now)) return false;
  if (before === null) return true;
  const then = viewOf(before);
  if (!takesWork(then) || isOfAnotherKind(then, now) || hasMoreRoom(then.room, now.room)) return true;
  // Room that another process gave and that came back before this one looked leaves no trace but in the count of the commits. Whoever was
  // refused in between waits for it.
  return after.guardVersion - before.guardVersion > 1;
}

function takesWork({ status, attached, cordoned, draining, ownerHold, onProbation }: AgentView): boolean {
  const isKept = cordoned || draining || ownerHold || onProbation === true;
  return status === "online" && attached && !isKept;
}

function isOfAnotherKind(then: AgentView, now: AgentView): boolean {
  return then.poolName !== now.poolName || then.agentType !== now.agentType || hasNewLabels(then.labels, now.labels);
}

function hasNewLabels(then: AgentView["labels"], now: AgentView["labels"]): boolean {
  return then !== now && Object.entries(now).some(([key, value]) => then[key] !== value);
}

function hasMoreRoom(then: Room, now: Room): boolean {
  if (isMore(then.cpu, now.cpu) || isMore(then.memory, now.memory)) return true;
  const cardsThen = new Map(then.cards.map((card) => [card.cardId, card]));
  return now.cards.some((card) => {
    const old = cardsThen.get(card.cardId);
    // A card that nobody of ours uses any more can be had whole, even when its free VRAM stays the same.
    return old === undefined || isMore(old, card) || (old.occupied && !card.occupied);
  });
}

function isMore(then: DimensionRoom, now: DimensionRoom): boolean {
  return now.free > then.free || now.foreign < then.foreign;
}
