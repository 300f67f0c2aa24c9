/** Takes due tasks in the order of the queue, as many as there may be room for, until the room or the tasks have run out. */
import { sleep, type Timers } from "@headroom/runtime";
import type { RoomDraft } from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { KeptRoom } from "../placing/kept-room.ts";
import type { Placed, Placer } from "../placing/placer.ts";
import type { ClaimedTask, QueueHead } from "../store/model.ts";
import type { Claimer, OrchestratorStore } from "../store/port.ts";
import type { Refusals } from "./refusals.ts";
import type { PassRequest, PassResult } from "./resumer.ts";
import { shareRoom, type Wish } from "./share-room.ts";
import type { Stamper } from "./stamper.ts";

export interface TurnOptions {
  readonly store: Pick<OrchestratorStore, "claimWaiting" | "queueRanks">;
  readonly fleet: Pick<FleetView, "roomFor" | "roomSince" | "draft">;
  readonly placer: Placer;
  readonly refusals: Refusals;
  readonly kept: Pick<KeptRoom, "avoidedBy">;
  readonly stamper: Stamper;
  readonly claimer: Claimer;
  readonly timers: Timers;
  readonly tell: (placed: Placed) => void;
  readonly maxRounds: number;
}

/** Placed together at most: what one ReserveCapacity takes, halved for the sake of its transaction. */
const largestBatch = 500;
/** Of each of several shapes at once: among so many the order of the queue holds between shapes as well. */
const atOnceOfEach = 64;
/** Ranks that are read for one batch at most. */
const mostRanks = 4_096;
/** Rooms that are given away twice and more at most; see `drafts`. */
const mostDrafts = 256;
/** A registry that is behind is asked again after these pauses; what it refuses then is left to a later pass. */
const pausesMs = [10, 20, 40, 80, 160];

/** So many that are refused by themselves one pass walks past of a shape; those behind them have their turn in the next one. */
const passedBy = 32;

/** A shape of which tasks are still to be taken in this pass. */
interface Turn {
  readonly head: QueueHead;
  /** Of the next task, or of one before it. */
  rank: number;
  /** For how many more there may be room. */
  left: number;
  /** One is asked for whatever the watch has told of room. */
  isOwed: boolean;
  /** A registry that was behind has refused some, which were counted off for nothing. */
  wasRefusedInVain: boolean;
  /** How many more that are refused by themselves it gives the turn of to the next ones. */
  passesBy: number;
}

/**
 * `tried`: shapes of which one is asked for whatever the watch has told of room. What a pass takes grows with the room, not with the number of shapes
 * that wait for it: tasks are claimed for which there is room when those before them have got theirs.
 */
export async function takeTurns(
  options: TurnOptions,
  request: PassRequest,
  heads: readonly QueueHead[],
  tried: ReadonlySet<string>,
): Promise<Pick<PassResult, "resumed" | "endedAt" | "isRefusedInVain"> & { readonly refused: readonly QueueHead[] }> {
  let turns = heads.flatMap((head) => turnOf(options, request, head, tried.has(head.shapeKey)));
  const byShape = new Map(turns.map((turn) => [turn.head.shapeKey, turn]));
  let resumed = 0;
  let pauses = 0;
  /** Where the registry refuses what the watch has room for, the same room is offered to more and more shapes at once. */
  let drafts = 1;
  const withoutRoom = new Set<string>();
  const end = (endedAt: PassResult["endedAt"]) => ({
    resumed,
    endedAt,
    isRefusedInVain: turns.some(({ wasRefusedInVain }) => wasRefusedInVain),
    refused: heads.filter(({ shapeKey }) => withoutRoom.has(shapeKey)),
  });
  for (let round = 0; round < options.maxRounds && turns.length > 0; round += 1) {
    if (request.signal.aborted) return end("stopped");
    const asked = await howMany(options, request, turns, drafts);
    const batch = await claimBatch(options, request, asked);
    if (batch.length === 0) {
      const open = turns.filter(({ left }) => left > 0);
      if (open.length === turns.length) break;
      // The last of these shapes have been taken by others: there may be room for the rest.
      turns = open;
      continue;
    }
    const placed = await options.placer.place(batch, "resume-loop");
    options.tell(placed);
    resumed += placed.assigned.length;
    await noteRefusals(options, request, placed, byShape);
    countAgain(options, request, placed, turns);
    passBy(placed, batch, turns);
    drafts = placed.shapesWithoutRoom.size > 0 ? Math.min(mostDrafts, 2 * drafts) : 1;
    for (const [shapeKey, { reason }] of placed.shapesWithoutRoom) {
      if (reason === "NO_AGENT_FITS_NOW") withoutRoom.add(shapeKey);
    }
    if (placed.registryAway) return end("registry away");
    // The gate closed under us: whoever asked for the rest would be told the same.
    if (placed.assigned.length === 0 && placed.shapesWithoutRoom.size === 0 && placed.refusedAlone.size === 0) break;
    turns = turns.filter(({ left }) => left > 0);
    if (turns.length === 0 || turns.some(({ wasRefusedInVain }) => !wasRefusedInVain)) continue;
    const pauseMs = pausesMs[pauses];
    if (pauseMs === undefined) break;
    pauses += 1;
    await sleep(options.timers, pauseMs, request.signal).catch(() => undefined);
  }
  return end("done");
}

function turnOf(options: TurnOptions, request: PassRequest, head: QueueHead, isTried: boolean): readonly Turn[] {
  if (!isTried && options.refusals.stands(head.shapeKey)) return [];
  const room = roomFor(options, request, head);
  const left = isTried ? Math.max(1, room) : room;
  if (left <= 0) return [];
  return [{ head, rank: head.rank, left, isOwed: isTried, wasRefusedInVain: false, passesBy: passedBy }];
}

/** For how many of the shape there may be room, by what the watch has told. */
function roomFor(options: TurnOptions, request: PassRequest, head: QueueHead): number {
  return options.fleet.roomFor(head.needs, Number.MAX_SAFE_INTEGER, mayHave(options, request, head));
}

function mayHave({ kept }: TurnOptions, { isMeant }: PassRequest, head: QueueHead): (agentId: string) => boolean {
  const avoided = kept.avoidedBy(head);
  return (agentId) => !avoided.has(agentId) && (isMeant?.(agentId) ?? true);
}

/** In the order of the queue. */
async function claimBatch(
  { store, claimer }: TurnOptions,
  { planId }: PassRequest,
  asked: Asked,
): Promise<readonly ClaimedTask[]> {
  if (asked.size === 0) return [];
  const shapes = Array.from(asked, ([{ head }, limit]) => ({ shapeKey: head.shapeKey, limit }));
  const batch = await store.claimWaiting({ ...claimer, shapes, planId });
  const ranks = new Map<string, number[]>();
  for (const { shapeKey, rank } of batch) ranks.set(shapeKey, [...(ranks.get(shapeKey) ?? []), rank]);
  for (const [turn, limit] of asked) {
    const taken = ranks.get(turn.head.shapeKey) ?? [];
    turn.rank = taken.at(-1) ?? turn.rank;
    // There are no more.
    turn.left = taken.length < limit ? 0 : turn.left - taken.length;
    turn.isOwed = false;
  }
  return batch;
}

/** How many of each shape are claimed together. */
type Asked = ReadonlyMap<Turn, number>;

async function howMany(
  options: TurnOptions,
  request: PassRequest,
  turns: readonly Turn[],
  drafts: number,
): Promise<Asked> {
  const asked = await shareBeyond(options, request, shareFirsts(options, request, turns, largestBatch));
  let left = largestBatch - [...asked.values()].reduce((sum, count) => sum + count, 0);
  let others = turns.filter((turn) => !asked.has(turn));
  for (let draft = 1; draft < drafts && left > 0 && others.length > 0; draft += 1) {
    const given = shareFirsts(options, request, others, left);
    if (given.length === 0) break;
    for (const { turn } of given) asked.set(turn, 1);
    left -= given.length;
    others = others.filter((turn) => !asked.has(turn));
  }
  return asked;
}

interface TurnWish extends Wish {
  readonly turn: Turn;
}

function wishOf(
  options: TurnOptions,
  request: PassRequest,
  draft: RoomDraft,
  turn: Turn,
  ranks: readonly number[],
): TurnWish {
  const { head, left, isOwed } = turn;
  const take = draft.taker(head.needs, mayHave(options, request, head));
  return { turn, ranks: ranks.slice(0, left), owed: isOwed ? 1 : 0, take };
}

/** The shapes whose first task has room when the firsts before it have got theirs. */
function shareFirsts(
  options: TurnOptions,
  request: PassRequest,
  turns: readonly Turn[],
  most: number,
): readonly TurnWish[] {
  const draft = options.fleet.draft();
  const wishes = turns.map((turn) => wishOf(options, request, draft, turn, [turn.rank]));
  return shareRoom(wishes, most).map(({ wish }) => wish);
}

/** The second task of a shape may come before the first of another. A shape of which not even the first has got room gets none here either. */
async function shareBeyond(
  options: TurnOptions,
  request: PassRequest,
  firsts: readonly TurnWish[],
): Promise<Map<Turn, number>> {
  const [only] = firsts;
  if (only !== undefined && firsts.length === 1) {
    let count = 1;
    while (count < Math.min(only.turn.left, largestBatch) && only.take()) count += 1;
    return new Map([[only.turn, count]]);
  }
  const turns = firsts.map(({ turn }) => turn);
  if (!turns.some(({ left }) => left > 1)) return new Map(turns.map((turn) => [turn, 1]));
  const keys = turns.map(({ head }) => head.shapeKey);
  const ofEach = Math.min(atOnceOfEach, Math.floor(mostRanks / turns.length));
  const ranks = await options.store.queueRanks(keys, ofEach, request.planId);
  const draft = options.fleet.draft();
  const wishes = turns.map((turn) => {
    const ofShape = ranks.get(turn.head.shapeKey) ?? [];
    if (ofShape.length < ofEach) turn.left = Math.min(turn.left, ofShape.length);
    return wishOf(options, request, draft, turn, ofShape);
  });
  return new Map(shareRoom(wishes, largestBatch).map(({ wish, given }) => [wish.turn, given]));
}

/** A shape without room is not tried again in this pass, unless room has appeared since the refusal was decided. */
async function noteRefusals(
  { fleet, refusals, stamper }: TurnOptions,
  request: PassRequest,
  { shapesWithoutRoom, revision }: Placed,
  turns: ReadonlyMap<string, Turn>,
): Promise<void> {
  for (const [shapeKey, held] of shapesWithoutRoom) {
    // What was refused because agents were left out is asked again when they are not: no room appears then.
    if (revision !== null && !held.isForNow) refusals.note(shapeKey, revision);
    await stamper.stamp(shapeKey, held, request);
    const turn = turns.get(shapeKey);
    if (turn === undefined) continue;
    turn.wasRefusedInVain = revision !== null && fleet.roomSince(revision);
    turn.isOwed = turn.wasRefusedInVain;
    turn.left = turn.wasRefusedInVain ? Math.max(1, turn.left) : 0;
  }
}

/**
 * While a registry is behind, one at a time is asked for; when the room has been found after all, there may be more of it than was left to ask for.
 * No event tells of that: the room appeared before.
 */
function countAgain(
  options: TurnOptions,
  request: PassRequest,
  { shapesWithoutRoom }: Placed,
  turns: readonly Turn[],
): void {
  for (const turn of turns) {
    if (!turn.wasRefusedInVain || shapesWithoutRoom.has(turn.head.shapeKey)) continue;
    turn.wasRefusedInVain = false;
    turn.left = Math.max(turn.left, roomFor(options, request, turn.head));
  }
}

/** What was refused by itself has taken no room, and waits for later: the next ones of its shape have its turn. */
function passBy(
  { refusedAlone, shapesWithoutRoom }: Placed,
  batch: readonly ClaimedTask[],
  turns: readonly Turn[],
): void {
  for (const turn of turns) {
    const { shapeKey } = turn.head;
    if (shapesWithoutRoom.has(shapeKey)) continue;
    const passed = Math.min(turn.passesBy, refusedAlone.get(shapeKey) ?? 0);
    turn.passesBy -= passed;
    turn.left += passed;
    if (passed > 0 && batch.filter((task) => task.shapeKey === shapeKey).length === passed) turn.isOwed = true;
  }
}
