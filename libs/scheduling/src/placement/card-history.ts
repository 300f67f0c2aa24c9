/**
 * How soon cards are filled, learned from what happened: for cards with so much free, how many of them stood there for how many
 * arrivals, and which tasks came to them. A hole of which there are few, of a size that is much asked for, is filled at
 * once; of a size that there are hundreds of, hardly ever.
 */
import { type CardClass, freeMibOf, type MachineState } from "./machine-state.ts";
import type { HoleInsight } from "./insight.ts";
import type { CountedState } from "./lessons.ts";
import type { PlacementShape } from "./shape.ts";

/** Free VRAM is told apart in so many steps of the card. */
const STEPS = 128;
/** What is known before anything has been seen: one hole in so many cards, and that much of experience. */
/** Pairs of hole and task that are kept. */
const MAX_KEPT = 65_536;
/** Cards × arrivals from which on something can be said of a hole. */
const ENOUGH_EXPOSURE = 1_000;
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
  /** Tasks that came, by hole and task, until cards were last counted: between two counts the rates stand still. */
  readonly #arrivals = new Map<string, number>();
  /** Those that have come since. */
  readonly #fresh = new Map<string, number>();
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
      // Where nobody learns nothing is taken in, and it must not grow for ever.
      if (this.#fresh.size < MAX_KEPT) this.#fresh.set(key, (this.#fresh.get(key) ?? 0) + 1);
    }
  }

  /** Counts the fleet's cards, after so many arrivals in all. */
  count(states: Iterable<CountedState>, arrivals: number): void {
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
    for (const [key, came] of this.#fresh) this.#arrivals.set(key, (this.#arrivals.get(key) ?? 0) + came);
    this.#fresh.clear();
    if (this.#arrivals.size > MAX_KEPT) this.#halve();
    const passed = arrivals - this.#countedAt;
    for (const key of new Set([...counts.keys(), ...this.#counts.keys()])) {
      const between = ((counts.get(key) ?? 0) + (this.#counts.get(key) ?? 0)) / 2;
      this.#exposures.set(key, (this.#exposures.get(key) ?? 0) + between * passed);
    }
    this.#counts = counts;
    this.#countedAt = arrivals;
  }

  /** Old experience counts half, and what was seen once or long ago is forgotten. */
  #halve(): void {
    for (const kept of [this.#arrivals, this.#exposures]) {
      for (const [key, value] of kept) {
        if (value < 1) kept.delete(key);
        else kept.set(key, value / 2);
      }
    }
  }

  /** The holes that there are now, and how soon such ones were filled. The most VRAM first. */
  holes(states: Iterable<CountedState>): readonly HoleInsight[] {
    const filled = new Map<string, number>();
    for (const [key, count] of this.#arrivals) {
      const hole = key.split(" ", 2).join(" ");
      filled.set(hole, (filled.get(hole) ?? 0) + count);
    }
    const holes = new Map<string, { readonly cardMib: number; readonly part: number; cards: number }>();
    for (const { state, count } of states) {
      state.cards.forEach((value, position) => {
        const cardMib = state.kind.cardClasses[position]?.totalMib ?? 0;
        const free = freeMibOf(value);
        if (free <= 0 || free >= cardMib) return;
        const part = Math.floor((free * STEPS) / cardMib);
        const hole = holes.get(`${cardMib} ${part}`) ?? { cardMib, part, cards: 0 };
        hole.cards += count;
        holes.set(`${cardMib} ${part}`, hole);
      });
    }
    const found = [...holes].map(([key, { cardMib, part, cards }]): HoleInsight => {
      const exposure = this.#exposures.get(key) ?? 0;
      return {
        cardMib,
        fromMib: Math.ceil((part * cardMib) / STEPS),
        toMib: Math.ceil(((part + 1) * cardMib) / STEPS),
        cards,
        filledPerThousand: exposure < ENOUGH_EXPOSURE ? null : ((filled.get(key) ?? 0) / exposure) * 1_000,
      };
    });
    return found.sort((a, b) => b.cards * b.fromMib - a.cards * a.fromMib || a.cardMib - b.cardMib);
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
