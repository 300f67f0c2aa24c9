/**
 * What the predicate looks at beside what is free: states as sets, and the most that each agent could give, in columns. So an
 * explanation divides 100,000 agents by what they lack without looking at each, and asks the predicate itself about a few.
 */
import type { AgentView, CardRoom } from "@headroom/scheduling";
import { addBit, type Bits, dropBit, grown, wordsFor } from "./bits.ts";
import { RangeColumn } from "./range-column.ts";

/** Cards of an agent that have a place here; an agent with more is judged by the predicate. */
export const MAX_CARDS = 8;

const SETS = [
  "known",
  "desktop",
  "online",
  "attached",
  "cordoned",
  "draining",
  "ownerHold",
  "onProbation",
  "sampled",
  /** More cards than have a place here. */
  "manyCards",
] as const;
type SetName = (typeof SETS)[number];

/** One figure of an agent's cards: of the largest, of the second, and so on; -1 where there is none. */
export type RankedFigure = readonly RangeColumn[];

export class FitColumns {
  /** The agents with something in common. */
  readonly sets: Record<SetName, Bits> = noAgents();
  readonly cpuCeiling = new RangeColumn();
  readonly memoryCeiling = new RangeColumn();
  /** The most that a card could give. */
  readonly cardCeilings: RankedFigure = noCards();
  /** Of cards that can be had whole: what is free while nobody of ours uses them, and the most they could give. */
  readonly wholeFree: RankedFigure = noCards();
  readonly wholeCeilings: RankedFigure = noCards();
  /** By the beginning of the agent's id: of two that differ, the agent with the smaller id has the higher figure. */
  readonly idOrder = new RangeColumn();

  #words = 0;

  /** A bitmap of all slots has so many words. */
  get words(): number {
    return this.#words;
  }

  set(slot: number, view: AgentView): void {
    this.#words = Math.max(this.#words, wordsFor(slot + 1));
    for (const name of SETS) this.sets[name] = grown(this.sets[name], this.#words);
    const { room } = view;
    const has = statesOf(view);
    for (const name of SETS) {
      if (has[name]) addBit(this.sets[name], slot);
      else dropBit(this.sets[name], slot);
    }
    this.cpuCeiling.set(slot, room.cpu.ceiling);
    this.memoryCeiling.set(slot, room.memory.ceiling);
    this.idOrder.set(slot, idOrderOf(view.agentId));
    this.#setCards(slot, room.cards);
  }

  /** What is left in the columns is met by no set of known agents. */
  delete(slot: number): void {
    for (const name of SETS) dropBit(this.sets[name], slot);
  }

  #setCards(slot: number, cards: readonly CardRoom[]): void {
    setRanked(this.cardCeilings, slot, cards, (card) => card.ceiling);
    setRanked(this.wholeFree, slot, cards, (card) => (isWhole(card) && !card.occupied ? card.free : -1));
    setRanked(this.wholeCeilings, slot, cards, (card) => (isWhole(card) ? card.ceiling : -1));
  }
}

/** Its owner offers all of it. */
function isWhole({ offer, total }: CardRoom): boolean {
  return offer >= total;
}

function statesOf(view: AgentView): Record<SetName, boolean> {
  const { agentType, status, attached, cordoned, draining, ownerHold, onProbation, room } = view;
  return {
    known: true,
    desktop: agentType === "desktop",
    online: status === "online",
    attached,
    cordoned,
    draining,
    ownerHold,
    onProbation: onProbation === true,
    sampled: room.sampled,
    manyCards: room.cards.length > MAX_CARDS,
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
  ranks.forEach((column, rank) => column.set(slot, figures[rank] ?? -1));
}

/** Seven characters of seven bits: all that fit into a number without loss. Characters beyond ASCII count as the last of it. */
function idOrderOf(agentId: string): number {
  let prefix = 0;
  for (let at = 0; at < 7; at += 1) {
    prefix = prefix * 128 + Math.min(127, at < agentId.length ? agentId.charCodeAt(at) : 0);
  }
  return -prefix;
}

function noAgents(): Record<SetName, Bits> {
  const none = (): Bits => new Int32Array(2);
  return {
    known: none(),
    desktop: none(),
    online: none(),
    attached: none(),
    cordoned: none(),
    draining: none(),
    ownerHold: none(),
    onProbation: none(),
    sampled: none(),
    manyCards: none(),
  };
}

function noCards(): RankedFigure {
  return Array.from({ length: MAX_CARDS }, () => new RangeColumn());
}
