/**
 * Makes kinds of machines, each once: two machines of one kind share one object. A kind that was forgotten is made again, as an object of
 * its own that says the same.
 */
import { type CardClass, cardValue, kindKey, type MachineKind, type MachineState } from "./machine-state.ts";
import type { AgentView } from "../agent-view.ts";
import type { CardRoom } from "../capacity.ts";

/** A machine by its amounts; cards in any order. */
export interface MachineFacts {
  readonly cpuTotalMillicores: number;
  readonly memoryTotalMib: number;
  readonly cpuMillicores: number;
  readonly memoryMib: number;
  readonly cards: readonly CardFacts[];
}

export interface CardFacts {
  readonly model: string;
  readonly totalMib: number;
  readonly freeMib: number;
  readonly sharedMemory: boolean;
  /** No attempt is on it, and its owner offers all of it. */
  readonly canBeWhole: boolean;
}

export interface MachineOf {
  readonly state: MachineState;
  /** For each position of the state's cards, which of the given cards it is. */
  readonly order: readonly number[];
}

/** Kinds, and classes of cards, that are remembered: an offer that changes all the time makes ever new ones. */
const MAX_REMEMBERED = 10_000;

export class MachineKinds {
  readonly #classes = new Map<string, CardClass>();
  readonly #kinds = new Map<string, MachineKind>();

  /** `before`: the same machine earlier, which mostly is of the same kind. */
  machineOf(facts: MachineFacts, before?: MachineOf): MachineOf {
    if (before !== undefined && isOfKind(facts, before)) return stateOf(facts, before.state.kind, before.order);
    // Between machines only: the cards of one are told apart by the objects of their classes.
    forgetOldest(this.#classes);
    forgetOldest(this.#kinds);
    const cards = facts.cards
      .map((card, index) => ({ index, cardClass: this.#classOf(card) }))
      .sort((a, b) => compare(classKey(a.cardClass), classKey(b.cardClass)));
    const kind = this.#kindOf(
      facts,
      cards.map(({ cardClass }) => cardClass),
    );
    return stateOf(
      facts,
      kind,
      cards.map(({ index }) => index),
    );
  }

  #classOf({ model, totalMib, sharedMemory }: CardFacts): CardClass {
    const cardClass = { model: model.toLowerCase(), totalMib, sharedMemory };
    return interned(this.#classes, classKey(cardClass), () => cardClass);
  }

  #kindOf(facts: MachineFacts, cardClasses: readonly CardClass[]): MachineKind {
    const { cpuTotalMillicores, memoryTotalMib } = facts;
    const kind = { cpuTotalMillicores, memoryTotalMib, cardClasses };
    const key = kindKey(kind);
    return interned(this.#kinds, key, () => {
      return { ...kind, key, sharesMemory: cardClasses.some(({ sharedMemory }) => sharedMemory) };
    });
  }
}

/** What placement sees of an agent: amounts. Pools, labels and whether it takes work are the predicate's affair. */
export function agentFacts({ room }: Pick<AgentView, "room">): MachineFacts {
  return {
    cpuTotalMillicores: room.cpu.ceiling,
    memoryTotalMib: room.memory.ceiling,
    cpuMillicores: room.cpu.free,
    memoryMib: room.memory.free,
    cards: room.cards.map(cardFacts),
  };
}

function cardFacts(card: CardRoom): CardFacts {
  return {
    model: card.model,
    totalMib: card.ceiling,
    freeMib: card.free,
    sharedMemory: card.sharedMemory,
    canBeWhole: !card.occupied && card.offer >= card.total && card.free > 0,
  };
}

/** Whether the machine is still of the kind that it was; its cards are given in the same order as then. */
function isOfKind({ cpuTotalMillicores, memoryTotalMib, cards }: MachineFacts, { state, order }: MachineOf): boolean {
  const { kind } = state;
  return (
    kind.cpuTotalMillicores === cpuTotalMillicores &&
    kind.memoryTotalMib === memoryTotalMib &&
    order.length === cards.length &&
    order.every((index, position) => isOfClass(cards[index], kind.cardClasses[position]))
  );
}

function isOfClass(card: CardFacts | undefined, cardClass: CardClass | undefined): boolean {
  return (
    card !== undefined &&
    card.totalMib === cardClass?.totalMib &&
    card.sharedMemory === cardClass.sharedMemory &&
    card.model.toLowerCase() === cardClass.model
  );
}

/** `order`: the cards by class, in any order within one. */
function stateOf(facts: MachineFacts, kind: MachineKind, order: readonly number[]): MachineOf {
  const values = facts.cards.map(valueOf);
  const sorted = [...order];
  // They are few, and mostly in order already.
  for (let position = 1; position < sorted.length; position += 1) {
    for (let at = position; at > 0 && kind.cardClasses[at] === kind.cardClasses[at - 1]; at -= 1) {
      const [left = 0, right = 0] = [sorted[at - 1], sorted[at]];
      const byValue = (values[left] ?? 0) - (values[right] ?? 0);
      if (byValue < 0 || (byValue === 0 && left < right)) break;
      [sorted[at - 1], sorted[at]] = [right, left];
    }
  }
  const state: MachineState = {
    kind,
    cpuMillicores: facts.cpuMillicores,
    memoryMib: facts.memoryMib,
    cards: sorted.map((index) => values[index] ?? 0),
    vramMib: facts.cards.reduce((sum, { freeMib }) => sum + freeMib, 0),
  };
  return { state, order: sorted };
}

function valueOf({ freeMib, canBeWhole }: CardFacts): number {
  return cardValue(freeMib, canBeWhole);
}

function classKey({ model, totalMib, sharedMemory }: CardClass): string {
  return `${sharedMemory ? 1 : 0} ${totalMib} ${model}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What was asked for last stands last. */
function interned<Value extends object>(known: Map<string, Value>, key: string, make: () => Value): Value {
  const value = known.get(key) ?? make();
  known.delete(key);
  known.set(key, value);
  return value;
}

function forgetOldest(known: Map<string, unknown>): void {
  for (const key of known.keys()) {
    if (known.size < MAX_REMEMBERED) return;
    known.delete(key);
  }
}
