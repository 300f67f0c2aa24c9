/** The mix as the cards of one class see it: which tasks could come to such a card, and what they leave of it. */
import type { CardClass } from "./machine-state.ts";
import { admitsClass } from "./shape.ts";
import type { ShapeWeight } from "./task-mix.ts";

interface CardTask {
  /** Of one of its cards. */
  readonly cpuMillicores: number;
  readonly perCardMib: number;
  readonly share: number;
}

/** How far CPU is told apart, in millicores: the table of leftovers has a row for each step. */
const CPU_STEP_MILLICORES = 500;
/** 128 cores: more than that a single card's tasks hardly need. */
const CPU_STEPS = 256;
const UNKNOWN = -1;

export class CardDemand {
  /** Tasks that could come, the least demanding of CPU first. */
  readonly #tasks: readonly CardTask[];
  /** Weight of giving up against the shares of the tasks that fit. */
  readonly #patience: number;
  /** By free MiB, then by step of CPU. */
  readonly #leftovers: (Float64Array | undefined)[] = [];
  /** Distinct amounts of CPU of the tasks that take one card; for each of them the share of tasks that fit, by size. */
  readonly #cpuLevels: readonly number[];
  readonly #fitting: readonly Float64Array[];
  /** Free VRAM in MiB -> how many of the sizes of single-card tasks are at most that. */
  readonly #sizesWithin: Int16Array;

  constructor(weights: readonly ShapeWeight[], cardClass: CardClass, patience: number) {
    this.#patience = patience;
    this.#tasks = cardTasks(weights, cardClass);
    const single = singleCardTasks(weights, cardClass);
    const sizes = [...new Set(single.map((task) => task.perCardMib))].sort((a, b) => a - b);
    this.#cpuLevels = [...new Set(single.map((task) => task.cpuMillicores))].sort((a, b) => a - b);
    this.#sizesWithin = countWithin(sizes, cardClass.totalMib);
    this.#fitting = [-1, ...this.#cpuLevels].map((cpu) => fittingBySize(single, sizes, cpu));
  }

  /**
   * What is expected to be left of a card with so much free, in MiB, once nothing more comes to it: tasks come by chance,
   * each takes what it needs of the card and of the CPU, and the card is given up with the odds of `patience` to one
   * against the tasks that would still fit.
   *
   *     L(g, c) = (π·g + Σ p_m·L(g − g_m, c − c_m)) / (π + Σ p_m)      over the tasks m with g_m ≤ g and c_m ≤ c
   */
  leftover(freeMib: number, cpuMillicores: number): number {
    if (freeMib <= 0) return 0;
    const step = Math.min(Math.floor(cpuMillicores / CPU_STEP_MILLICORES), CPU_STEPS - 1);
    const row = (this.#leftovers[freeMib] ??= new Float64Array(CPU_STEPS).fill(UNKNOWN));
    const known = row[step] ?? UNKNOWN;
    if (known !== UNKNOWN) return known;
    let weight = this.#patience;
    let sum = this.#patience * freeMib;
    const cpu = step * CPU_STEP_MILLICORES;
    for (const task of this.#tasks) {
      if (task.cpuMillicores > cpu) break;
      if (task.perCardMib > freeMib) continue;
      weight += task.share;
      sum += task.share * this.leftover(freeMib - task.perCardMib, cpu - task.cpuMillicores);
    }
    const left = weight > 0 ? sum / weight : freeMib;
    row[step] = left;
    return left;
  }

  /** How many of the CPU amounts of single-card tasks are at most that: what `unfitShare` is asked with. */
  cpuLevel(cpuMillicores: number): number {
    let low = 0;
    let high = this.#cpuLevels.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#cpuLevels[middle] ?? 0) <= cpuMillicores) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Share of the tasks with cards that take one card and that so much of this one would hold, with the CPU at that level. */
  fittingShare(freeMib: number, cpuLevel: number): number {
    return this.#fitting[cpuLevel]?.[this.#sizesWithin[freeMib] ?? 0] ?? 0;
  }
}

function cardTasks(weights: readonly ShapeWeight[], cardClass: CardClass): readonly CardTask[] {
  const tasks = new Map<string, CardTask>();
  for (const { shape, share } of weights) {
    if (shape.gpuCount === 0 || !admitsClass(shape, cardClass)) continue;
    const cpuMillicores = shape.cpuMillicores / shape.gpuCount;
    const perCardMib = shape.exclusive ? cardClass.totalMib : shape.perCardMib;
    const key = `${cpuMillicores} ${perCardMib}`;
    const known = tasks.get(key)?.share ?? 0;
    tasks.set(key, { cpuMillicores, perCardMib, share: known + share });
  }
  return [...tasks.values()].sort((a, b) => a.cpuMillicores - b.cpuMillicores || a.perCardMib - b.perCardMib);
}

function singleCardTasks(weights: readonly ShapeWeight[], cardClass: CardClass): readonly CardTask[] {
  return cardTasks(
    weights.filter(({ shape }) => shape.gpuCount === 1),
    cardClass,
  );
}

function countWithin(sizes: readonly number[], totalMib: number): Int16Array {
  const within = new Int16Array(totalMib + 1);
  let count = 0;
  for (let free = 0; free <= totalMib; free += 1) {
    while (count < sizes.length && (sizes[count] ?? 0) <= free) count += 1;
    within[free] = count;
  }
  return within;
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
