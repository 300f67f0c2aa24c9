/**
 * How soon cards are filled, learned from what happened: for cards with so much free, how many of them stood there for how many
 * arrivals, and which tasks came to them. A hole of which there are few, of a size that is much asked for, is filled at
 * once; of a size that there are hundreds of, hardly ever.
 */
import { type CardClass, freeMibOf, type MachineState } from "./machine-state.ts";
import type { PlacementShape } from "./shape.ts";

/** Free VRAM is told apart in so many steps of the card. */
const STEPS = 128;
/** What is known before anything has been seen: one hole in so many cards, and that much of experience. */
const PRIOR_HOLES_PER_CARD = 1 / 64;
const PRIOR_ARRIVALS_PER_CARD = 1 / 20;

export interface CardTask {
  /** Of one of its cards. */
  readonly cpuMillicores: number;
  readonly perCardMib: number;
  /** Of all tasks with cards, 0..1. */
  readonly share: number;
}

export class CardHistory {
  /** Cards × arrivals, by hole. */
  readonly #exposures = new Map<string, number>();
  /** Tasks that came, by hole and task. */
  readonly #arrivals = new Map<string, number>();
  /** Cards, by hole, when they were last counted. */
  #counts: ReadonlyMap<string, number> = new Map();
  #countedAt = 0;
  #cards = 0;

  /** A task has been given these cards of a machine that was in this state. */
  note({ kind, cards }: MachineState, positions: readonly number[], shape: PlacementShape): void {
    for (const position of positions) {
      const cardClass = kind.cardClasses[position];
      if (cardClass === undefined) continue;
      const key = taskKey(holeKey(cardClass, freeMibOf(cards[position] ?? 0)), shape.perCardMib, cpuPerCard(shape));
      this.#arrivals.set(key, (this.#arrivals.get(key) ?? 0) + 1);
    }
  }

  /** Counts the fleet's cards, after so many arrivals in all. */
  count(states: Iterable<{ readonly state: MachineState; readonly count: number }>, arrivals: number): void {
    const counts = new Map<string, number>();
    this.#cards = 0;
    for (const { state, count } of states) {
      state.cards.forEach((value, position) => {
        const cardClass = state.kind.cardClasses[position];
        this.#cards += count;
        const free = freeMibOf(value);
        if (cardClass === undefined || free === 0) return;
        const key = holeKey(cardClass, free);
        counts.set(key, (counts.get(key) ?? 0) + count);
      });
    }
    const passed = arrivals - this.#countedAt;
    for (const key of new Set([...counts.keys(), ...this.#counts.keys()])) {
      const between = ((counts.get(key) ?? 0) + (this.#counts.get(key) ?? 0)) / 2;
      this.#exposures.set(key, (this.#exposures.get(key) ?? 0) + between * passed);
    }
    this.#counts = counts;
    this.#countedAt = arrivals;
  }

  /** Cards of the fleet. */
  get cards(): number {
    return Math.max(1, this.#cards);
  }

  /** The chance that the next arrival is such a task and comes to one given card with so much free. */
  rate(cardClass: CardClass, freeMib: number): (task: CardTask) => number {
    const hole = holeKey(cardClass, freeMib);
    const priorExposure = this.cards * PRIOR_ARRIVALS_PER_CARD;
    const exposure = (this.#exposures.get(hole) ?? 0) + priorExposure;
    const prior = priorExposure / (this.cards * PRIOR_HOLES_PER_CARD);
    return ({ perCardMib, cpuMillicores, share }) => {
      const seen = this.#arrivals.get(taskKey(hole, perCardMib, cpuMillicores)) ?? 0;
      return (seen + prior * share) / exposure;
    };
  }
}

export function cpuPerCard({ cpuMillicores, gpuCount }: PlacementShape): number {
  return gpuCount > 0 ? cpuMillicores / gpuCount : cpuMillicores;
}

function holeKey({ totalMib }: CardClass, freeMib: number): string {
  return `${totalMib} ${totalMib > 0 ? Math.floor((freeMib * STEPS) / totalMib) : 0}`;
}

function taskKey(hole: string, perCardMib: number, cpuMillicores: number): string {
  return `${hole} ${perCardMib} ${cpuMillicores}`;
}
