/** The mix as the cards of one class see it: which tasks could come to such a card, and what they leave of it. */
import { type CardHistory, type CardTask, cpuPerCard } from "./card-history.ts";
import type { CardClass } from "./machine-state.ts";
import { admitsClass } from "./shape.ts";
import type { ShapeWeight } from "./task-mix.ts";

/** How far CPU is told apart, in millicores: the table of leftovers has a column for each step. */
const CPU_STEP_MILLICORES = 500;
/** 128 cores: more than that a single card's tasks hardly need. */
const CPU_STEPS = 256;
const UNKNOWN = -1;

/** Looks so far ahead, in arrivals per card of the fleet: what is not filled by then counts as left over. */
const HORIZON_ARRIVALS_PER_CARD = 0.8;

/** A kind of task that a hole could take. */
interface Filling {
  /** CPU that it takes, in steps, rounded up: what is free is rounded down. */
  readonly steps: number;
  readonly sizeMib: number;
  /** How often such a task comes to one given card. */
  rate: number;
  /** What it leaves; null: nothing. Found when it is first needed. */
  next: Hole | null | undefined;
}

/** Cards with so much free. */
interface Hole {
  readonly freeMib: number;
  /** Expected leftover by step of CPU; `UNKNOWN` until it is asked for. */
  readonly left: Float64Array;
  /** The least demanding of CPU first. */
  readonly fillings: readonly Filling[];
}

/** An expectation that is being added up: a filling after the other. */
interface Sum {
  readonly hole: Hole;
  readonly step: number;
  /** The filling that comes next. */
  index: number;
  weight: number;
  sum: number;
}

/** Holes that are told apart to the MiB; the others share one in each so many MiB, so that noise does not make thousands. */
const MAX_EXACT_HOLES = 1_024;
const SHARED_HOLES_PER_CARD = 512;

export class CardDemand {
  readonly #cardClass: CardClass;
  readonly #history: CardHistory;
  /** Tasks that could come, the least demanding of CPU first. */
  readonly #tasks: readonly CardTask[];
  readonly #holes = new Map<number, Hole>();
  readonly #sharedHoles = new Map<number, Hole>();
  /** Distinct amounts of CPU of the tasks that take one card; for each of them the share of tasks that fit, by size. */
  readonly #cpuLevels: readonly number[];
  readonly #fitting: readonly Float64Array[];
  /** Distinct sizes of those tasks. */
  readonly #sizes: readonly number[];

  constructor(weights: readonly ShapeWeight[], cardClass: CardClass, history: CardHistory) {
    this.#cardClass = cardClass;
    this.#history = history;
    this.#tasks = cardTasks(weights, cardClass);
    const single = cardTasks(
      weights.filter(({ shape }) => shape.gpuCount === 1),
      cardClass,
    );
    this.#sizes = [...new Set(single.map((task) => task.perCardMib))].sort((a, b) => a - b);
    this.#cpuLevels = [...new Set(single.map((task) => task.cpuMillicores))].sort((a, b) => a - b);
    this.#fitting = [-1, ...this.#cpuLevels].map((cpu) => fittingBySize(single, this.#sizes, cpu));
  }

  /**
   * What is expected to be left of a card with g MiB free, in MiB, at the horizon, when it may use so much CPU: tasks come at the
   * rates λ of the history, each takes what it needs of both, and at the rate π the horizon is reached.
   *
   *     L(g, c) = (π·g + Σ λ_m(g)·L(g − g_m, c − c_m)) / (π + Σ λ_m(g))      over the tasks m with g_m ≤ g and c_m ≤ c
   *
   * For a card that is wholly free π is 0: where anything comes at all, it will be used.
   */
  leftover(freeMib: number, cpuMillicores: number): number {
    if (freeMib <= 0) return 0;
    const step = Math.min(Math.floor(cpuMillicores / CPU_STEP_MILLICORES), CPU_STEPS - 1);
    return this.#leftOf(this.#holeAt(freeMib), step);
  }

  /**
   * By a list of what is being added up, at most each hole at each step of CPU, and not by recursion: tasks of a few MiB make of one
   * card a chain of holes that no stack holds.
   */
  #leftOf(asked: Hole, askedStep: number): number {
    const known = asked.left[askedStep] ?? UNKNOWN;
    if (known !== UNKNOWN) return known;
    const open = [this.#sumOf(asked, askedStep)];
    for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
      const missing = this.#addUp(last);
      if (missing !== null) {
        open.push(missing);
        continue;
      }
      const { hole, step, weight, sum } = last;
      hole.left[step] = weight > 0 ? sum / weight : hole.freeMib;
      open.pop();
    }
    return asked.left[askedStep] ?? UNKNOWN;
  }

  #sumOf(hole: Hole, step: number): Sum {
    const { freeMib } = hole;
    const isWhole = freeMib >= this.#cardClass.totalMib;
    const weight = isWhole ? 0 : 1 / (HORIZON_ARRIVALS_PER_CARD * this.#history.cards);
    return { hole, step, index: 0, weight, sum: weight * freeMib };
  }

  /** As far as is known what is left of the holes behind; answers the first that is not known, or null at the end. */
  #addUp(open: Sum): Sum | null {
    const { hole, step } = open;
    for (; open.index < hole.fillings.length; open.index += 1) {
      const filling = hole.fillings[open.index];
      if (filling === undefined || filling.steps > step) return null;
      const next = this.#nextOf(hole, filling);
      // It takes no CPU, and of VRAM less than is told apart: all is as before it came, for ever if it were followed.
      if (next !== null && filling.steps === 0 && next.freeMib >= hole.freeMib) continue;
      const left = next === null ? 0 : (next.left[step - filling.steps] ?? 0);
      if (next !== null && left === UNKNOWN) return this.#sumOf(next, step - filling.steps);
      open.weight += filling.rate;
      open.sum += filling.rate * left;
    }
    return null;
  }

  #nextOf({ freeMib }: Hole, filling: Filling): Hole | null {
    if (filling.next === undefined) {
      const left = freeMib - filling.sizeMib;
      filling.next = left > 0 ? this.#holeAt(left) : null;
    }
    return filling.next;
  }

  #holeAt(freeMib: number): Hole {
    const exact = this.#holes.get(freeMib);
    if (exact !== undefined) return exact;
    if (this.#holes.size < MAX_EXACT_HOLES) {
      const made = this.#makeHole(freeMib);
      this.#holes.set(freeMib, made);
      return made;
    }
    const part = Math.floor((freeMib * SHARED_HOLES_PER_CARD) / this.#cardClass.totalMib);
    const shared = this.#sharedHoles.get(part) ?? this.#makeHole(freeMib);
    this.#sharedHoles.set(part, shared);
    return shared;
  }

  #makeHole(freeMib: number): Hole {
    const rateOf = this.#history.rate(this.#cardClass, freeMib);
    const fillings: Filling[] = [];
    for (const task of this.#tasks) {
      if (task.perCardMib > freeMib) continue;
      const steps = Math.ceil(task.cpuMillicores / CPU_STEP_MILLICORES);
      const last = fillings.at(-1);
      // Tasks are in the order of CPU and size: alike ones stand together, or count apart without harm.
      if (last?.steps === steps && last.sizeMib === task.perCardMib) last.rate += rateOf(task);
      else fillings.push({ steps, sizeMib: task.perCardMib, rate: rateOf(task), next: undefined });
    }
    return { freeMib, left: new Float64Array(CPU_STEPS).fill(UNKNOWN), fillings };
  }

  /** How many of the CPU amounts of single-card tasks are at most that: what `fittingShare` is asked with. */
  cpuLevel(cpuMillicores: number): number {
    return countUpTo(this.#cpuLevels, cpuMillicores);
  }

  /** Share of the tasks with cards that take one card and that so much of this one would hold, with the CPU at that level. */
  fittingShare(freeMib: number, cpuLevel: number): number {
    return this.#fitting[cpuLevel]?.[countUpTo(this.#sizes, freeMib)] ?? 0;
  }
}

function cardTasks(weights: readonly ShapeWeight[], cardClass: CardClass): readonly CardTask[] {
  const tasks = new Map<string, CardTask>();
  for (const { shape, share } of weights) {
    if (shape.gpuCount === 0 || !admitsClass(shape, cardClass)) continue;
    const cpuMillicores = cpuPerCard(shape);
    const perCardMib = shape.exclusive ? cardClass.totalMib : shape.perCardMib;
    const key = `${cpuMillicores} ${perCardMib}`;
    const known = tasks.get(key)?.share ?? 0;
    tasks.set(key, { cpuMillicores, perCardMib, share: known + share });
  }
  return [...tasks.values()].sort((a, b) => a.cpuMillicores - b.cpuMillicores || a.perCardMib - b.perCardMib);
}

/** How many of the ascending figures are at most that. */
function countUpTo(figures: readonly number[], limit: number): number {
  let low = 0;
  let high = figures.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((figures[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Share of the tasks within this CPU whose size is among the first so many of the sizes. */
function fittingBySize(tasks: readonly CardTask[], sizes: readonly number[], cpuMillicores: number): Float64Array {
  const fitting = new Float64Array(sizes.length + 1);
  sizes.forEach((size, index) => {
    let share = fitting[index] ?? 0;
    for (const task of tasks) if (task.perCardMib === size && task.cpuMillicores <= cpuMillicores) share += task.share;
    fitting[index + 1] = share;
  });
  return fitting;
}
