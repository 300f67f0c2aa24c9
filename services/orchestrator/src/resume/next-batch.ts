/** Which tasks of which shapes a pass takes next: those for which there may be room once all that come before them have got theirs. */
import type { RoomDraft } from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { KeptRoom } from "../placing/kept-room.ts";
import type { ClaimedTask, QueueHead } from "../store/model.ts";
import type { Claimer, OrchestratorStore } from "../store/port.ts";
import type { PassRequest } from "./resumer.ts";
import { type Shared, shareRoom, type Wish } from "./share-room.ts";

export interface TurnRoom {
  readonly store: Pick<OrchestratorStore, "claimWaiting" | "queueRanks">;
  readonly fleet: Pick<FleetView, "roomFor" | "draft">;
  readonly kept: Pick<KeptRoom, "avoidedBy">;
  readonly avoided: Pick<AvoidedAgents, "current">;
  readonly claimer: Claimer;
}

/** Placed together at most: what one ReserveCapacity takes, halved for the sake of its transaction. */
const largestBatch = 500;
/** Of each of several shapes at once: among so many the order of the queue holds between shapes as well. */
const atOnceOfEach = 64;
/** Ranks that are read for one batch at most. */
const mostRanks = 4_096;

/** A shape of which tasks are still to be taken in this pass. */
export interface Turn {
  readonly head: QueueHead;
  /** Of the next tasks, as far as known; at least one, which may be that of a task before the next. */
  ranks: readonly [number, ...number[]];
  /** For how many more there may be room. */
  left: number;
  /** The first one is asked for whatever the watch has told of room. */
  isOwed: boolean;
  /** A registry that was behind has refused some, which were counted off for nothing. */
  wasRefusedInVain: boolean;
  /** How many more that are refused by themselves it gives the turn of to the next ones. */
  passesBy: number;
}

type Meant = Pick<PassRequest, "planId" | "isMeant">;

/** What a batch is taken for. */
export interface BatchRequest extends Meant {
  /** Of these plans nothing is taken. */
  readonly exceptPlanIds: readonly string[];
}

/** For how many of the shape there may be room, by what the watch has told. */
export function roomFor(options: TurnRoom, request: Meant, head: QueueHead): number {
  return options.fleet.roomFor(head.needs, Number.MAX_SAFE_INTEGER, mayHave(options, request, head));
}

function mayHave({ kept, avoided }: TurnRoom, { isMeant }: Meant, head: QueueHead): (agentId: string) => boolean {
  const keptFromIt = kept.avoidedBy(head);
  const refused = avoided.current();
  return (agentId) => !keptFromIt.has(agentId) && !refused.has(agentId) && (isMeant?.(agentId) ?? true);
}

/**
 * In the order of the queue; nothing: there is no more room, or what was asked for has gone, and is then left out of the turns from now on. `offered`: to so many
 * shapes at least the room is offered, though it may be the same: the registry has refused all of what the watch tells of.
 */
export async function claimNext(
  options: TurnRoom,
  request: BatchRequest,
  turns: readonly Turn[],
  offered: number,
): Promise<readonly ClaimedTask[]> {
  const asked = await howMany(options, request, turns, offered);
  if (asked.size === 0) return [];
  const { store, claimer } = options;
  const shapes = Array.from(asked, ([{ head }, limit]) => ({ shapeKey: head.shapeKey, limit }));
  const { planId, exceptPlanIds } = request;
  const batch = await store.claimWaiting({ ...claimer, shapes, planId, exceptPlanIds });
  const taken = new Map<string, number>();
  const lastRank = new Map<string, number>();
  for (const { shapeKey, rank } of batch) {
    taken.set(shapeKey, (taken.get(shapeKey) ?? 0) + 1);
    lastRank.set(shapeKey, rank);
  }
  for (const [turn, limit] of asked) {
    const { shapeKey } = turn.head;
    const count = taken.get(shapeKey) ?? 0;
    const last = lastRank.get(shapeKey) ?? turn.ranks[0];
    const [next = last, ...others] = turn.ranks.filter((rank) => rank > last);
    turn.ranks = [next, ...others];
    // Fewer than asked for: there are no more.
    turn.left = count < limit ? 0 : turn.left - count;
    turn.isOwed = false;
  }
  return batch;
}

/** How many of each shape are claimed together. */
type Asked = ReadonlyMap<Turn, number>;

async function howMany(
  options: TurnRoom,
  request: BatchRequest,
  turns: readonly Turn[],
  offered: number,
): Promise<Asked> {
  const asked = await shareBeyond(options, request, shareFirsts(options, request, turns));
  const left = largestBatch - [...asked.values()].reduce((sum, count) => sum + count, 0);
  let more = Math.min(left, offered - asked.size);
  if (more <= 0) return asked;
  // One at least: those that had got the room may have gone.
  for (const turn of turns.toSorted((a, b) => a.ranks[0] - b.ranks[0])) {
    if (asked.has(turn) || turn.left <= 0 || !hasRoom(options, request, turn.head)) continue;
    asked.set(turn, 1);
    more -= 1;
    if (more === 0) break;
  }
  return asked;
}

function hasRoom(options: TurnRoom, request: Meant, head: QueueHead): boolean {
  return options.fleet.roomFor(head.needs, 1, mayHave(options, request, head)) > 0;
}

interface TurnWish extends Wish {
  readonly turn: Turn;
}

function wishOf(options: TurnRoom, request: Meant, draft: RoomDraft, turn: Turn, ranks: readonly number[]): TurnWish {
  const { head, left, isOwed } = turn;
  return {
    turn,
    ranks: ranks.slice(0, left),
    owed: isOwed ? 1 : 0,
    take: draft.taker(head.needs, mayHave(options, request, head)),
    mayHaveRoom: () => hasRoom(options, request, head),
  };
}

/** The shapes whose first task has room when the firsts before it have got theirs. */
function shareFirsts(options: TurnRoom, request: Meant, turns: readonly Turn[]): Shared<TurnWish> {
  const draft = options.fleet.draft();
  const wishes = turns.map((turn) => wishOf(options, request, draft, turn, [turn.ranks[0]]));
  return shareRoom(wishes, largestBatch);
}

/** The second task of a shape may come before the first of another. A shape of which not even the first has got room gets none here either. */
async function shareBeyond(
  options: TurnRoom,
  request: BatchRequest,
  { shares, endedAt }: Shared<TurnWish>,
): Promise<Map<Turn, number>> {
  const firsts = shares.map(({ wish }) => wish);
  const [only] = firsts;
  if (only !== undefined && firsts.length === 1) {
    const most = Math.min(only.turn.left, largestBatch);
    let count = 1;
    while (count < most && only.take()) count += 1;
    if (count === 1 || endedAt === Number.POSITIVE_INFINITY) return new Map([[only.turn, count]]);
  }
  const turns = firsts.map(({ turn }) => turn);
  if (!turns.some(({ left }) => left > 1)) return new Map(turns.map((turn) => [turn, 1]));
  const { planId, exceptPlanIds } = request;
  const keys = turns.map(({ head }) => head.shapeKey);
  const ofEach = Math.min(atOnceOfEach, Math.floor(mostRanks / turns.length));
  const ranks = await options.store.queueRanks(keys, { ofEach, planId, exceptPlanIds });
  const draft = options.fleet.draft();
  const wishes = turns.map((turn) => {
    const [first, ...others] = ranks.get(turn.head.shapeKey) ?? [];
    if (first === undefined) turn.left = 0;
    else {
      turn.ranks = [first, ...others];
      if (turn.ranks.length < ofEach) turn.left = Math.min(turn.left, turn.ranks.length);
    }
    // What is owed is asked for wherever it stands.
    const before = turn.ranks.filter((rank, index) => rank < endedAt || (index === 0 && turn.isOwed));
    return wishOf(options, request, draft, turn, before);
  });
  return new Map(shareRoom(wishes, largestBatch).shares.map(({ wish, given }) => [wish.turn, given]));
}
