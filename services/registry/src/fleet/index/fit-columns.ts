/**
 * What the predicate looks at beside what is free: states as sets, and the most that each agent could give, as plain numbers in
 * columns. So an explanation goes through 100,000 agents in about a millisecond, and asks the predicate itself about a few.
 */
import type { AgentView, CardRoom } from "@headroom/scheduling";
import { addBit, type Bits, dropBit, grown, wordsFor } from "./bits.ts";

/** Cards of an agent that have a place here; an agent with more is judged by the predicate. */
export const MAX_CARDS = 8;

export const IS_SAMPLED = 1;
/** It has more cards than have a place here. */
export const HAS_MORE_CARDS = 2;

const SETS = ["known", "desktop", "online", "attached", "cordoned", "draining", "ownerHold", "onProbation"] as const;
type SetName = (typeof SETS)[number];

/** One figure of an agent's cards: of the largest, of the second, and so on; -1 where there is none. */
export type RankedFigure = readonly Float64Array[];

export class FitColumns {
  /** The agents with something in common. */
  readonly sets: Record<SetName, Bits> = {
    known: new Int32Array(2),
    desktop: new Int32Array(2),
    online: new Int32Array(2),
    attached: new Int32Array(2),
    cordoned: new Int32Array(2),
    draining: new Int32Array(2),
    ownerHold: new Int32Array(2),
    onProbation: new Int32Array(2),
  };
  flags = new Uint8Array(64);
  cpuCeiling = new Float64Array(64);
  memoryCeiling = new Float64Array(64);
  cardCount = new Uint8Array(64);
  /** The most that a card could give. */
  cardCeilings: RankedFigure = noCards(64);
  /** Of cards that can be had whole: what is free while nobody of ours uses them, and the most they could give. */
  wholeFree: RankedFigure = noCards(64);
  wholeCeilings: RankedFigure = noCards(64);
  /** The beginning of the agent's id as a number: of two that differ, the smaller id is first. */
  idPrefix = new Float64Array(64);

  /** A bitmap of all slots has so many words. */
  get words(): number {
    return this.sets.known.length;
  }

  set(slot: number, view: AgentView): void {
    this.#makePlace(slot);
    const { room } = view;
    const has = statesOf(view);
    for (const name of SETS) {
      if (has[name]) addBit(this.sets[name], slot);
      else dropBit(this.sets[name], slot);
    }
    this.flags[slot] = (room.sampled ? IS_SAMPLED : 0) | (room.cards.length > MAX_CARDS ? HAS_MORE_CARDS : 0);
    this.cpuCeiling[slot] = room.cpu.ceiling;
    this.memoryCeiling[slot] = room.memory.ceiling;
    this.idPrefix[slot] = idPrefixOf(view.agentId);
    this.#setCards(slot, room.cards);
  }

  delete(slot: number): void {
    for (const name of SETS) dropBit(this.sets[name], slot);
  }

  #setCards(slot: number, cards: readonly CardRoom[]): void {
    const count = Math.min(cards.length, MAX_CARDS);
    if (count === 0 && this.cardCount[slot] === 0) return;
    this.cardCount[slot] = count;
    setRanked(this.cardCeilings, slot, cards, (card) => card.ceiling);
    setRanked(this.wholeFree, slot, cards, (card) => (isWhole(card) && !card.occupied ? card.free : -1));
    setRanked(this.wholeCeilings, slot, cards, (card) => (isWhole(card) ? card.ceiling : -1));
  }

  #makePlace(slot: number): void {
    for (const name of SETS) this.sets[name] = grown(this.sets[name], wordsFor(slot + 1));
    if (slot < this.flags.length) return;
    const size = Math.max(slot + 1, this.flags.length * 2);
    this.flags = larger(this.flags, new Uint8Array(size));
    this.cpuCeiling = larger(this.cpuCeiling, new Float64Array(size));
    this.memoryCeiling = larger(this.memoryCeiling, new Float64Array(size));
    this.cardCount = larger(this.cardCount, new Uint8Array(size));
    this.cardCeilings = largerRanks(this.cardCeilings, size);
    this.wholeFree = largerRanks(this.wholeFree, size);
    this.wholeCeilings = largerRanks(this.wholeCeilings, size);
    this.idPrefix = larger(this.idPrefix, new Float64Array(size));
  }
}

/** Its owner offers all of it. */
function isWhole({ offer, total }: CardRoom): boolean {
  return offer >= total;
}

function statesOf(view: AgentView): Record<SetName, boolean> {
  const { agentType, status, attached, cordoned, draining, ownerHold, onProbation } = view;
  return {
    known: true,
    desktop: agentType === "desktop",
    online: status === "online",
    attached,
    cordoned,
    draining,
    ownerHold,
    onProbation: onProbation === true,
  };
}

function setRanked(
  ranks: RankedFigure,
  slot: number,
  cards: readonly CardRoom[],
  figureOf: (card: CardRoom) => number,
): void {
  const figures = cards.map(figureOf);
  if (figures.length > 1) figures.sort((a, b) => b - a);
  ranks.forEach((column, rank) => (column[slot] = figures[rank] ?? -1));
}

/** Seven characters of seven bits: all that fit into a number without loss. Characters beyond ASCII count as the last of it. */
function idPrefixOf(agentId: string): number {
  let prefix = 0;
  for (let at = 0; at < 7; at += 1) {
    prefix = prefix * 128 + Math.min(127, at < agentId.length ? agentId.charCodeAt(at) : 0);
  }
  return prefix;
}

function noCards(slots: number): RankedFigure {
  return Array.from({ length: MAX_CARDS }, () => new Float64Array(slots).fill(-1));
}

function largerRanks(ranks: RankedFigure, slots: number): RankedFigure {
  return ranks.map((column) => larger(column, new Float64Array(slots).fill(-1)));
}

function larger<Column extends Uint8Array | Float64Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}
