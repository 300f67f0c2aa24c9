/** Makes kinds of machines, each once: two machines of one kind share one object. */
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
  readonly admission: string | null;
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

export class MachineKinds {
  readonly #classes = new Map<string, CardClass>();
  readonly #kinds = new Map<string, MachineKind>();

  machineOf(facts: MachineFacts): MachineOf {
    const cards = facts.cards
      .map((card, index) => ({ card, index, cardClass: this.#classOf(card), value: valueOf(card) }))
      .sort((a, b) => compare(classKey(a.cardClass), classKey(b.cardClass)) || a.value - b.value || a.index - b.index);
    const kind = this.#kindOf(
      facts,
      cards.map(({ cardClass }) => cardClass),
    );
    const state: MachineState = {
      kind,
      cpuMillicores: facts.cpuMillicores,
      memoryMib: facts.memoryMib,
      cards: cards.map(({ value }) => value),
      vramMib: cards.reduce((sum, { card }) => sum + card.freeMib, 0),
    };
    return { state, order: cards.map(({ index }) => index) };
  }

  #classOf({ model, totalMib, sharedMemory }: CardFacts): CardClass {
    const cardClass = { model: model.toLowerCase(), totalMib, sharedMemory };
    return interned(this.#classes, classKey(cardClass), () => cardClass);
  }

  #kindOf(facts: MachineFacts, cardClasses: readonly CardClass[]): MachineKind {
    const { cpuTotalMillicores, memoryTotalMib, admission } = facts;
    const kind = { cpuTotalMillicores, memoryTotalMib, cardClasses, admission };
    const key = kindKey(kind);
    return interned(this.#kinds, key, () => ({ ...kind, key }));
  }
}

/** What placement sees of an agent. Its admission is its own affair: pools and labels are judged before. */
export function agentFacts({ room }: Pick<AgentView, "room">): MachineFacts {
  return {
    cpuTotalMillicores: room.cpu.ceiling,
    memoryTotalMib: room.memory.ceiling,
    cpuMillicores: room.cpu.free,
    memoryMib: room.memory.free,
    cards: room.cards.map(cardFacts),
    admission: null,
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

function valueOf({ freeMib, canBeWhole }: CardFacts): number {
  return cardValue(freeMib, canBeWhole);
}

function classKey({ model, totalMib, sharedMemory }: CardClass): string {
  return `${sharedMemory ? 1 : 0} ${totalMib} ${model}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function interned<Value>(known: Map<string, Value>, key: string, make: () => Value): Value {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}
