/**
 * What kinds of tasks arrive, learned from arrivals: a decayed count per shape. A task counts once, when it is first
 * asked about, however often it is tried again. Shapes are told apart by what rules look at: CPU, cards and their models.
 */
import type { PlacementShape } from "./shape.ts";
import { vramOf } from "./shape.ts";

export interface ShapeWeight {
  readonly shape: PlacementShape;
  /** Share of all arrivals, 0..1. */
  readonly share: number;
}

export interface ShapeCount {
  readonly shape: PlacementShape;
  /** Decayed number of arrivals. */
  readonly count: number;
}

/** After so many arrivals, one counts half. */
export const MIX_HALF_LIFE_ARRIVALS = 20_000;
/** Shapes that are kept; the rarest are forgotten first. */
export const MIX_MAX_SHAPES = 512;
/** Weights are scaled back when they have grown so large. */
const RESCALE_AT = 1e12;

/** Arrivals that nobody has kept yet. */
export interface FreshArrivals {
  readonly counts: readonly ShapeCount[];
  readonly arrivals: number;
}

export class TaskMix {
  readonly #counts = new Map<string, { shape: PlacementShape; weight: number }>();
  /** Weight of the next arrival: it grows, which is the same as all earlier ones decaying. */
  #unit = 1;
  #total = 0;
  #arrivals = 0;
  #fresh = new Map<string, { shape: PlacementShape; count: number }>();

  /** Arrivals seen since this object was made. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** The decayed number of arrivals: what the shares rest on. */
  get effectiveCount(): number {
    return this.#total / this.#unit;
  }

  arrive(shape: PlacementShape): void {
    this.#arrivals += 1;
    this.#unit *= 2 ** (1 / MIX_HALF_LIFE_ARRIVALS);
    this.#add(shape, this.#unit);
    this.#addFresh(shape, 1);
    if (this.#unit > RESCALE_AT) this.#rescale();
  }

  /** Arrivals since the last `takeFresh`. */
  get freshArrivals(): number {
    let sum = 0;
    for (const { count } of this.#fresh.values()) sum += count;
    return sum;
  }

  /** What has arrived since the last call, to be kept somewhere. */
  takeFresh(): FreshArrivals {
    const fresh = { counts: [...this.#fresh.values()], arrivals: this.freshArrivals };
    this.#fresh = new Map();
    return fresh;
  }

  /** It could not be kept: it is part of the next. */
  giveBack({ counts }: FreshArrivals): void {
    for (const { shape, count } of counts) this.#addFresh(shape, count);
  }

  /** Takes over what is kept, by others as well, in place of what it had; what has arrived since the last `takeFresh` counts on top. */
  adopt(counts: readonly ShapeCount[]): void {
    this.#counts.clear();
    this.#total = 0;
    for (const { shape, count } of counts) this.#add(shape, count * this.#unit);
    for (const { shape, count } of this.#fresh.values()) this.#add(shape, count * this.#unit);
  }

  /** Most frequent first; equal ones by key. */
  counts(): readonly ShapeCount[] {
    return [...this.#counts.values()]
      .map(({ shape, weight }) => ({ shape, count: weight / this.#unit }))
      .sort((a, b) => b.count - a.count || (a.shape.amountsKey < b.shape.amountsKey ? -1 : 1));
  }

  weights(): readonly ShapeWeight[] {
    const total = this.effectiveCount;
    return this.counts().map(({ shape, count }) => ({ shape, share: count / total }));
  }

  #addFresh(shape: PlacementShape, count: number): void {
    const known = this.#fresh.get(shape.amountsKey);
    if (known !== undefined) known.count += count;
    // So many shapes within so short a time are noise.
    else if (this.#fresh.size < MIX_MAX_SHAPES) this.#fresh.set(shape.amountsKey, { shape, count });
  }

  #add(shape: PlacementShape, weight: number): void {
    const known = this.#counts.get(shape.amountsKey);
    if (known === undefined) this.#counts.set(shape.amountsKey, { shape, weight });
    else known.weight += weight;
    this.#total += weight;
    if (this.#counts.size > MIX_MAX_SHAPES) this.#forgetRarest();
  }

  /** A quarter at once: seldom, and those that were seen once or long ago. */
  #forgetRarest(): void {
    const kept = [...this.#counts].sort(([, a], [, b]) => b.weight - a.weight).slice(0, MIX_MAX_SHAPES * 0.75);
    this.#counts.clear();
    this.#total = 0;
    for (const [key, entry] of kept) {
      this.#counts.set(key, entry);
      this.#total += entry.weight;
    }
  }

  #rescale(): void {
    for (const entry of this.#counts.values()) entry.weight /= this.#unit;
    this.#total /= this.#unit;
    this.#unit = 1;
  }
}

/** The most frequent shapes that make up this share of all arrivals, their shares scaled to sum to 1. */
export function covering(weights: readonly ShapeWeight[], cover: number): readonly ShapeWeight[] {
  const chosen: ShapeWeight[] = [];
  let sum = 0;
  for (const weight of weights) {
    if (sum >= cover) break;
    chosen.push(weight);
    sum += weight.share;
  }
  return chosen.map(({ shape, share }) => ({ shape, share: share / sum }));
}

/** CPU that the tasks with cards ask for, per MiB of VRAM that they ask for; 0 when there are none. */
export function cpuPerVram(weights: readonly ShapeWeight[]): number {
  let cpu = 0;
  let vram = 0;
  for (const { shape, share } of weights) {
    if (shape.gpuCount === 0) continue;
    cpu += share * shape.cpuMillicores;
    vram += share * vramOf(shape);
  }
  return vram > 0 ? cpu / vram : 0;
}
