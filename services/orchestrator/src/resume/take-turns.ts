/** Takes due tasks in the order of the queue, as many as there may be room for, until the room or the tasks have run out. */
import { sleep, type Timers } from "@headroom/runtime";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { KeptRoom } from "../placing/kept-room.ts";
import type { Placed, Placer } from "../placing/placer.ts";
import type { ClaimedTask, QueueHead } from "../store/model.ts";
import type { Claimer, OrchestratorStore } from "../store/port.ts";
import type { Refusals } from "./refusals.ts";
import type { PassRequest, PassResult } from "./resumer.ts";
import type { Stamper } from "./stamper.ts";

export interface TurnOptions {
  readonly store: Pick<OrchestratorStore, "claimWaiting">;
  readonly fleet: Pick<FleetView, "roomFor" | "roomSince">;
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
/** Of each of several shapes at once, so that none of them takes the room of others that wait longer. */
const atOnceOfEach = 64;
/** A registry that is behind is asked again after these pauses; what it refuses then is left to a later pass. */
const pausesMs = [10, 20, 40, 80, 160];

/** So many that are refused by themselves one pass walks past of a shape; those behind them have their turn in the next one. */
const passedBy = 32;

/** A shape of which tasks are still to be taken in this pass. */
interface Turn {
  readonly head: QueueHead;
  /** For how many more there may be room. */
  left: number;
  /** A registry that was behind has refused some, which were counted off for nothing. */
  wasRefusedInVain: boolean;
  /** How many more that are refused by themselves it gives the turn of to the next ones. */
  passesBy: number;
}

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
  const withoutRoom = new Set<string>();
  const end = (endedAt: PassResult["endedAt"]) => ({
    resumed,
    endedAt,
    isRefusedInVain: turns.some(({ wasRefusedInVain }) => wasRefusedInVain),
    refused: heads.filter(({ shapeKey }) => withoutRoom.has(shapeKey)),
  });
  for (let round = 0; round < options.maxRounds && turns.length > 0; round += 1) {
    if (request.signal.aborted) return end("stopped");
    const batch = await claimBatch(options, request, turns);
    if (batch.length === 0) break;
    const placed = await options.placer.place(batch, "resume-loop");
    options.tell(placed);
    resumed += placed.assigned.length;
    await noteRefusals(options, request, placed, byShape);
    countAgain(options, request, placed, turns);
    passBy(placed, turns);
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

/** `isTried`: the poll is the truth, it asks for one of the shape whatever the watch has told. */
function turnOf(options: TurnOptions, request: PassRequest, head: QueueHead, isTried: boolean): readonly Turn[] {
  if (!isTried && options.refusals.stands(head.shapeKey)) return [];
  const room = roomFor(options, request, head);
  const left = isTried ? Math.max(1, room) : room;
  return left > 0 ? [{ head, left, wasRefusedInVain: false, passesBy: passedBy }] : [];
}

/** For how many of the shape there may be room, by what the watch has told. */
function roomFor({ fleet, kept }: TurnOptions, { isMeant }: PassRequest, head: QueueHead): number {
  const avoided = kept.avoidedBy(head);
  const mayHave = (agentId: string): boolean => !avoided.has(agentId) && (isMeant?.(agentId) ?? true);
  return fleet.roomFor(head.needs, Number.MAX_SAFE_INTEGER, mayHave);
}

/** In the order of the queue. */
async function claimBatch(
  { store, claimer }: TurnOptions,
  { planId }: PassRequest,
  turns: readonly Turn[],
): Promise<readonly ClaimedTask[]> {
  const batch: ClaimedTask[] = [];
  const ofEach = turns.length > 1 ? atOnceOfEach : largestBatch;
  for (const turn of turns) {
    let wanted = Math.min(turn.left, ofEach, largestBatch - batch.length);
    // The store may take fewer than asked for; none at all means that there are no more.
    while (wanted > 0) {
      const limit = wanted;
      const claimed = await store.claimWaiting({ ...claimer, shapeKey: turn.head.shapeKey, limit, planId });
      turn.left = claimed.length === 0 ? 0 : turn.left - claimed.length;
      wanted = claimed.length === 0 ? 0 : wanted - claimed.length;
      batch.push(...claimed);
    }
  }
  return batch.sort((a, b) => a.rank - b.rank || (a.taskId < b.taskId ? -1 : 1));
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
function passBy({ refusedAlone, shapesWithoutRoom }: Placed, turns: readonly Turn[]): void {
  for (const turn of turns) {
    const { shapeKey } = turn.head;
    if (shapesWithoutRoom.has(shapeKey)) continue;
    const passed = Math.min(turn.passesBy, refusedAlone.get(shapeKey) ?? 0);
    turn.passesBy -= passed;
    turn.left += passed;
  }
}
