/**
 * The one meaning of "free". Every query, filter, gate and placement reads what this file computes.
 *
 *     foreign = max(0, total − available − Σ used)          what the owner's other programs take
 *     free    = max(0, min(total − foreign, offer) − Σ max(reserved, used))
 *
 * The first sum is over every attempt of the sample, the second over the reservations that are held. So room is not
 * promised twice before a sample shows it (reserved counts), not counted twice after (the larger of the two counts,
 * not both), and is back the moment a reservation ends: the use of an ended attempt in an older sample is neither
 * foreign nor held. An attempt that runs without a reservation is therefore given one (`adopt`) as soon as a sample
 * lists it: see `unreservedAttempts`.
 */
import type { Amounts, AttemptUse, Card, EpochMs, Mib, Sample } from "./resources.ts";

/** Room that is promised to one attempt. */
export interface HeldRoom {
  readonly attemptId: string;
  readonly reserved: Amounts;
  /** When its work is expected to end, where somebody said so. */
  readonly expectedEndAtMs: EpochMs | null;
}

/** One dimension of an agent's room; the unit is that of the dimension (millicores or MiB). */
export interface DimensionRoom {
  readonly total: number;
  readonly offer: number;
  /** min(total, offer): the most that Headroom could ever have. */
  readonly ceiling: number;
  /** The raw measurement. */
  readonly available: number;
  readonly foreign: number;
  /** Σ max(reserved, used) over the reservations. */
  readonly held: number;
  readonly free: number;
  readonly declared: boolean;
}

/** One card's room, in MiB of VRAM. */
export interface CardRoom extends DimensionRoom {
  readonly cardId: string;
  readonly index: number;
  readonly model: string;
  readonly sharedMemory: boolean;
  /** An attempt of Headroom's has a reservation or measured use on it. */
  readonly occupied: boolean;
  /** A reservation has the whole card: `free` is 0. */
  readonly exclusivelyHeld: boolean;
}

/** What is free on one agent. */
export interface Room {
  /** False while the agent has sent no sample: all figures are zero. */
  readonly sampled: boolean;
  /** Millicores. */
  readonly cpu: DimensionRoom;
  /** MiB. */
  readonly memory: DimensionRoom;
  /** MiB, sums over the cards. */
  readonly vram: DimensionRoom;
  readonly cards: readonly CardRoom[];
}

const NO_DIMENSION = {
  total: 0,
  offer: 0,
  ceiling: 0,
  available: 0,
  foreign: 0,
  held: 0,
  free: 0,
  declared: false,
};

const NO_ROOM: Room = { sampled: false, cpu: NO_DIMENSION, memory: NO_DIMENSION, vram: NO_DIMENSION, cards: [] };

/** What is free on an agent with this latest sample and these held reservations. No sample: zeros. */
export function freeCapacity(sample: Sample | null, reservations: readonly HeldRoom[]): Room {
  if (sample === null) return NO_ROOM;
  const loads = attemptLoads(sample, reservations);
  const cpu = dimensionRoom(
    sample.cpu,
    takenOf(loads, (amounts) => amounts.cpuMillicores),
  );
  const sharedCardIds = new Set(sample.cards.filter((card) => card.sharedMemory).map((card) => card.cardId));
  const memory = dimensionRoom(
    sample.memory,
    takenOf(loads, (amounts) => amounts.memoryMib + vramOn(amounts, (cardId) => sharedCardIds.has(cardId))),
  );
  const takenById = takenOfCards(sample.cards, loads);
  const cards = sample.cards.map((card) => cardRoom(card, takenById.get(card.cardId) ?? nothingTaken(), memory.free));
  return { sampled: true, cpu, memory, vram: sumOfCards(cards), cards };
}

/**
 * The room after one more reservation of an attempt that the sample does not list: what `freeCapacity` would say, without
 * going through the reservations that are there already.
 */
export function roomAfter(room: Room, reserved: Amounts): Room {
  if (!room.sampled) return room;
  const sharedCardIds = new Set(room.cards.filter((card) => card.sharedMemory).map((card) => card.cardId));
  const cpu = holdingMore(room.cpu, reserved.cpuMillicores);
  const memoryMib = reserved.memoryMib + vramOn(reserved, (cardId) => sharedCardIds.has(cardId));
  const memory = holdingMore(room.memory, memoryMib);
  const cards = room.cards.map((card) => cardAfter(card, reserved, memory.free));
  return { sampled: true, cpu, memory, vram: sumOfCards(cards), cards };
}

/** What a card has less, and who is left on it. */
export interface CardLeft {
  readonly endedMib: Mib;
  readonly occupied: boolean;
  readonly exclusivelyHeld: boolean;
}

/** What reservations that have ended held, each the larger of what was promised and what is used. */
export interface Ended {
  readonly cpuMillicores: number;
  /** What they had of cards that share the machine's memory included. */
  readonly memoryMib: Mib;
  /** In the order of the room's cards. */
  readonly cards: readonly CardLeft[];
}

/** The room once reservations have ended: what `freeCapacity` would say, without going through those that are left. */
export function roomAfterEnds(room: Room, ended: Ended): Room {
  if (!room.sampled) return room;
  const cpu = holdingMore(room.cpu, -ended.cpuMillicores);
  const memory = holdingMore(room.memory, -ended.memoryMib);
  const cards = room.cards.map((card, place) => {
    const left = ended.cards[place];
    return left === undefined ? card : cardWithout(card, left, memory.free);
  });
  return { sampled: true, cpu, memory, vram: sumOfCards(cards), cards };
}

/** Attempts of a sample that no reservation covers: each is to be adopted. */
export function unreservedAttempts(sample: Sample, reservations: readonly HeldRoom[]): readonly AttemptUse[] {
  const reservedIds = new Set(reservations.map((reservation) => reservation.attemptId));
  return sample.attempts.filter((attempt) => !reservedIds.has(attempt.attemptId));
}

/** Reserved and used amounts of one attempt, side by side. `reserved` is null once the reservation has ended. */
interface AttemptLoad {
  readonly reserved: Amounts | null;
  readonly used: Amounts | null;
}

function attemptLoads(sample: Sample, reservations: readonly HeldRoom[]): readonly AttemptLoad[] {
  const usedById = new Map(sample.attempts.map((attempt) => [attempt.attemptId, attempt.used]));
  const loads: AttemptLoad[] = reservations.map(({ attemptId, reserved }) => ({
    reserved,
    used: usedById.get(attemptId) ?? null,
  }));
  for (const attempt of unreservedAttempts(sample, reservations)) {
    loads.push({ reserved: null, used: attempt.used });
  }
  return loads;
}

interface Measured {
  readonly total: number;
  readonly available: number;
  readonly offer: number;
  readonly declared: boolean;
}

/** What all attempts have of one dimension. */
interface Taken {
  /** Σ used. */
  used: number;
  /** Σ max(reserved, used) over the reservations. */
  held: number;
}

/** What all attempts have of one card, in MiB. */
interface CardTaken extends Taken {
  occupied: boolean;
  exclusivelyHeld: boolean;
  /** What has been found of the attempt that is looked at, until it is counted. */
  reservedMib: Mib;
  usedMib: Mib;
}

function takenOf(loads: readonly AttemptLoad[], amountOf: (amounts: Amounts) => number): Taken {
  const taken = { used: 0, held: 0 };
  for (const { reserved, used } of loads) {
    count(taken, reserved === null ? null : amountOf(reserved), used === null ? 0 : amountOf(used));
  }
  return taken;
}

/** One more attempt; `reserved` is null once its reservation has ended. */
function count(taken: Taken, reserved: number | null, used: number): void {
  taken.used += used;
  if (reserved !== null) taken.held += Math.max(reserved, used);
}

/** Each attempt is gone through once, and not once for each card: a sample may have 4,096 of them on 64. */
function takenOfCards(cards: readonly Card[], loads: readonly AttemptLoad[]): ReadonlyMap<string, CardTaken> {
  const takenById = new Map(cards.map((card) => [card.cardId, nothingTaken()]));
  for (const { reserved, used } of loads) {
    const reservedCards = reserved?.cards ?? [];
    const usedCards = used?.cards ?? [];
    for (const { cardId, vramMib, exclusive } of reservedCards) {
      const taken = takenById.get(cardId);
      if (taken === undefined) continue;
      taken.reservedMib += vramMib;
      taken.occupied = true;
      taken.exclusivelyHeld ||= exclusive;
    }
    for (const { cardId, vramMib } of usedCards) {
      const taken = takenById.get(cardId);
      if (taken === undefined) continue;
      taken.usedMib += vramMib;
      taken.occupied ||= reserved !== null && vramMib > 0;
    }
    const isHeld = reserved !== null;
    for (const { cardId } of reservedCards) countFound(takenById.get(cardId), isHeld);
    for (const { cardId } of usedCards) countFound(takenById.get(cardId), isHeld);
  }
  return takenById;
}

function nothingTaken(): CardTaken {
  return { used: 0, held: 0, occupied: false, exclusivelyHeld: false, reservedMib: 0, usedMib: 0 };
}

/** Counts what was found of one attempt; a second time there is nothing left to count. */
function countFound(taken: CardTaken | undefined, isHeld: boolean): void {
  if (taken === undefined) return;
  count(taken, isHeld ? taken.reservedMib : null, taken.usedMib);
  taken.reservedMib = 0;
  taken.usedMib = 0;
}

function dimensionRoom({ total, available, offer, declared }: Measured, { used, held }: Taken): DimensionRoom {
  const foreign = declared ? 0 : Math.min(total, Math.max(0, total - available - used));
  const free = Math.max(0, Math.min(total - foreign, offer) - held);
  return { total, offer, ceiling: Math.min(total, offer), available, foreign, held, free, declared };
}

function cardRoom(card: Card, taken: CardTaken, memoryFreeMib: Mib): CardRoom {
  const measured: Measured = {
    total: card.vramTotalMib,
    available: card.vramAvailableMib,
    offer: card.vramOfferMib,
    declared: card.declared,
  };
  const room = dimensionRoom(measured, taken);
  const reachable = card.sharedMemory ? Math.min(room.free, memoryFreeMib) : room.free;
  // Field by field: a spread costs a third of the whole view, and each sample of a fleet makes one.
  return {
    total: room.total,
    offer: room.offer,
    ceiling: room.ceiling,
    available: room.available,
    foreign: room.foreign,
    held: room.held,
    free: taken.exclusivelyHeld ? 0 : reachable,
    declared: room.declared,
    cardId: card.cardId,
    index: card.index,
    model: card.model,
    sharedMemory: card.sharedMemory,
    occupied: taken.occupied,
    exclusivelyHeld: taken.exclusivelyHeld,
  };
}

function holdingMore<R extends DimensionRoom>(room: R, amount: number): R {
  const held = room.held + amount;
  return { ...room, held, free: Math.max(0, Math.min(room.total - room.foreign, room.offer) - held) };
}

function cardWithout(card: CardRoom, left: CardLeft, memoryFreeMib: Mib): CardRoom {
  const { endedMib, occupied, exclusivelyHeld } = left;
  const room = holdingMore(card, -endedMib);
  const reachable = card.sharedMemory ? Math.min(room.free, memoryFreeMib) : room.free;
  return { ...room, free: exclusivelyHeld ? 0 : reachable, occupied, exclusivelyHeld };
}

function cardAfter(card: CardRoom, reserved: Amounts, memoryFreeMib: Mib): CardRoom {
  const here = reserved.cards.filter(({ cardId }) => cardId === card.cardId);
  if (here.length === 0 && !card.sharedMemory) return card;
  const room = holdingMore(
    card,
    vramOn(reserved, (cardId) => cardId === card.cardId),
  );
  const reachable = card.sharedMemory ? Math.min(room.free, memoryFreeMib) : room.free;
  const exclusivelyHeld = card.exclusivelyHeld || here.some(({ exclusive }) => exclusive);
  return {
    ...room,
    free: exclusivelyHeld ? 0 : reachable,
    occupied: card.occupied || here.length > 0,
    exclusivelyHeld,
  };
}

function vramOn(amounts: Amounts, isCounted: (cardId: string) => boolean): Mib {
  let sumMib = 0;
  for (const card of amounts.cards) if (isCounted(card.cardId)) sumMib += card.vramMib;
  return sumMib;
}

function sumOfCards(cards: readonly CardRoom[]): DimensionRoom {
  const sums = { ...NO_DIMENSION };
  for (const card of cards) {
    sums.total += card.total;
    sums.offer += card.offer;
    sums.ceiling += card.ceiling;
    sums.available += card.available;
    sums.foreign += card.foreign;
    sums.held += card.held;
    sums.free += card.free;
    sums.declared ||= card.declared;
  }
  return sums;
}
