/** Takes due tasks in the order of the queue, as many as there may be room for, until the room or the tasks have run out. */
import { sleep, type Timers } from "@headroom/runtime";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { ClaimEnds } from "../placing/claim-ends.ts";
import type { Placed, Placer } from "../placing/placer.ts";
import type { ClaimedTask, QueueHead } from "../store/model.ts";
import { claimNext, roomFor, type Turn, type TurnRoom } from "./next-batch.ts";
import type { Refusals } from "./refusals.ts";
import type { PassRequest, PassResult } from "./resumer.ts";
import type { Stamper } from "./stamper.ts";

export interface TurnOptions extends TurnRoom {
  readonly fleet: Pick<FleetView, "roomFor" | "roomSince" | "draft">;
  readonly placer: Placer;
  readonly refusals: Refusals;
  readonly stamper: Stamper;
  readonly claimEnds: Pick<ClaimEnds, "note">;
  readonly timers: Timers;
  readonly tell: (placed: Placed) => void;
  readonly maxRounds: number;
}

/** A registry that is behind is asked again after these pauses; what it refuses then is left to a later pass. */
const pausesMs = [10, 20, 40, 80, 160];

/** See `claimNext`. */
const mostOffered = 500;
/** So many that are refused by themselves one pass walks past of a shape; those behind them have their turn in the next one. */
const passedBy = 32;

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
  let locked: ReadonlySet<string> = turns.length === 0 ? new Set() : await options.placer.lockedPlans();
  let resumed = 0;
  let pauses = 0;
  /** Where the registry refuses all that the watch has room for, that room is offered to more and more shapes at once. */
  let offered = 1;
  const withoutRoom = new Set<string>();
  const end = (endedAt: PassResult["endedAt"]) => ({
    resumed,
    endedAt,
    isRefusedInVain: locked.size > 0 || turns.some(({ wasRefusedInVain }) => wasRefusedInVain),
    refused: heads.filter(({ shapeKey }) => withoutRoom.has(shapeKey)),
  });
  for (let round = 0; round < options.maxRounds && turns.length > 0; round += 1) {
    if (request.signal.aborted) return end("stopped");
    const fresh = turns.filter(({ wasRefusedInVain }) => !wasRefusedInVain);
    if (fresh.length === 0) {
      const pauseMs = pausesMs[pauses];
      if (pauseMs === undefined) break;
      pauses += 1;
      await sleep(options.timers, pauseMs, request.signal).catch(() => undefined);
    }
    const asked = fresh.length > 0 ? fresh : turns;
    const batch = await claimNext(options, { ...request, exceptPlanIds: [...locked] }, asked, offered);
    if (batch.length === 0) {
      // Others have taken the last of some shapes: there may be room for the rest.
      const areSomeGone = asked.some(({ left }) => left <= 0);
      if (!areSomeGone && asked.length === turns.length) break;
      turns = turns.filter(({ left, wasRefusedInVain }) => (areSomeGone ? left > 0 : wasRefusedInVain));
      offered = Math.min(mostOffered, 2 * offered);
      continue;
    }
    const placed = await options.placer.place(batch, "resume-loop");
    options.tell(placed);
    resumed += placed.assigned.length;
    if (placed.assigned.length + placed.parked.length < batch.length) {
      options.claimEnds.note();
      locked = await options.placer.lockedPlans();
    }
    await noteRefusals(options, request, placed, byShape);
    const ofBatch = turnsOf(batch, byShape);
    countAgain(options, request, placed, ofBatch);
    passBy(placed, batch, ofBatch);
    leaveHeld(placed, batch, byShape);
    offered = placed.assigned.length === 0 ? Math.min(mostOffered, 2 * offered) : 1;
    for (const [shapeKey, { reason }] of placed.shapesWithoutRoom) {
      if (reason !== "NO_AGENT_CAN_EVER_FIT") withoutRoom.add(shapeKey);
    }
    if (placed.registryAway) return end("registry away");
    turns = turns.filter(({ left }) => left > 0);
  }
  return end("done");
}

const turnsOf = (batch: readonly ClaimedTask[], byShape: ReadonlyMap<string, Turn>): readonly Turn[] =>
  Array.from(new Set(batch.map(({ shapeKey }) => shapeKey)), (shapeKey) => byShape.get(shapeKey) ?? []).flat();

/** The gate closed under us: whoever asked for the rest of the shape would be told the same. */
function leaveHeld(
  { parked, shapesWithoutRoom, refusedAlone }: Placed,
  batch: readonly ClaimedTask[],
  byShape: ReadonlyMap<string, Turn>,
): void {
  const shapes = new Map(batch.map(({ taskId, shapeKey }) => [taskId, shapeKey]));
  for (const { taskId, reason } of parked) {
    const shapeKey = shapes.get(taskId);
    // That an attempt's id was used up is nobody's fault but its own: it has another one the next time.
    if (shapeKey === undefined || reason === "AWAITING_TURN") continue;
    if (shapesWithoutRoom.has(shapeKey) || refusedAlone.has(shapeKey)) continue;
    const turn = byShape.get(shapeKey);
    if (turn !== undefined) turn.left = 0;
  }
}

function turnOf(options: TurnOptions, request: PassRequest, head: QueueHead, isTried: boolean): readonly Turn[] {
  if (!isTried && options.refusals.stands(head.shapeKey)) return [];
  const room = roomFor(options, request, head);
  const left = isTried ? Math.max(1, room) : room;
  if (left <= 0) return [];
  return [{ head, ranks: [head.rank], left, isOwed: isTried, wasRefusedInVain: false, passesBy: passedBy }];
}

/** A shape without room is not tried again in this pass, unless room has appeared since the refusal was decided. */
async function noteRefusals(
  { fleet, refusals, stamper }: TurnOptions,
  request: PassRequest,
  { shapesWithoutRoom, revision }: Placed,
  turns: ReadonlyMap<string, Turn>,
): Promise<void> {
  await stamper.stamp(shapesWithoutRoom, request);
  for (const [shapeKey, held] of shapesWithoutRoom) {
    // What was refused because agents were left out is asked again when they are not: no room appears then.
    if (revision !== null && !held.isForNow) refusals.note(shapeKey, revision);
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
    // None of the shape has been answered yet.
    if (passed > 0 && batch.filter((task) => task.shapeKey === shapeKey).length === passed) turn.isOwed = true;
  }
}
