/**
 * The estimate behind the default policy: how much VRAM of a machine will be *stranded*, left over in pieces or without CPU
 * to go with it. A task goes where the estimate grows least.
 *
 *     W(s) = Σ_i L(g_i, c_i)  +  a·F(s)  +  b·max(0, G − C/ρ)  −  h·Σ_m worth_m·[s holds m]
 *
 * g_i free VRAM of card i, G their sum, C free CPU, c_i the card's share of it, ρ the CPU per VRAM that the mix asks for. L: expected
 * leftover of a card (`CardDemand`). F: expected fragmentation (FGD), which sees the machine whole and one task ahead. Then
 * VRAM that the CPU cannot feed, and what is lost with a machine that could hold what few can. All are in MiB.
 */
import { CardHistory } from "./card-history.ts";
import { CardDemand } from "./card-demand.ts";
import { canBeWhole, type CardClass, freeMibOf, type MachineState } from "./machine-state.ts";
import { admitsClass, type PlacementShape, vramOf } from "./shape.ts";
import type { FleetFacts } from "./rules.ts";
import { cpuPerVram, type ShapeWeight, type TaskMix, withoutMemory } from "./task-mix.ts";

export interface StrandedWeights {
  /** Of fragmentation. */
  readonly fragmentation: number;
  /** Of machines that can hold what few can. */
  readonly hosting: number;
  /** Of VRAM that the CPU cannot feed. */
  readonly starvation: number;
  /** Of leftovers. */
  readonly leftover: number;
}

/** A card's tasks may use this much more than the card's share of the CPU: not all cards need theirs. */
const CPU_SLACK = 1.5;
/** A card that is free but for what its owner's desktop draws on it counts as free. */
const WHOLE_SHARE = 0.9;

export class StrandedEstimate {
  readonly #weights: StrandedWeights;
  readonly #history: CardHistory;
  readonly #cardMix: readonly ShapeWeight[];
  readonly #manyCards: readonly ShapeWeight[];
  readonly #cpuPerVram: number;
  readonly #rare: readonly RareShape[];
  readonly #demands = new Map<CardClass, CardDemand>();
  readonly #demandsBySignature = new Map<string, CardDemand>();

  /** The shares of the mix need not sum to 1: tasks without cards are left out. */
  constructor(mix: readonly ShapeWeight[], fleet: FleetFacts, weights: StrandedWeights, history: CardHistory) {
    this.#weights = weights;
    this.#history = history;
    const withCards = mix.filter(({ shape }) => shape.gpuCount > 0);
    const total = withCards.reduce((sum, { share }) => sum + share, 0);
    this.#cardMix = withCards.map(({ shape, share }) => ({ shape, share: share / total }));
    this.#manyCards = this.#cardMix.filter(({ shape }) => shape.gpuCount > 1);
    this.#cpuPerVram = cpuPerVram(this.#cardMix);
    this.#rare = weights.hosting > 0 ? rareShapes(mix, fleet, this.#cpuPerVram, total) : [];
  }

  /** For FGD's measure alone. */
  static ofFragmentation(mix: TaskMix): StrandedEstimate {
    const facts = { maxCpuMillicores: 0, maxVramMib: 0, meanCardMib: 0, kinds: [] };
    const weights = { fragmentation: 1, hosting: 0, starvation: 0, leftover: 0 };
    return new StrandedEstimate(withoutMemory(mix.weights()), facts, weights, new CardHistory());
  }

  of(state: MachineState): number {
    const { vramMib, cpuMillicores } = state;
    const { fragmentation, hosting, starvation, leftover } = this.#weights;
    let sum = fragmentation > 0 ? fragmentation * this.fragmentation(state) : 0;
    if (hosting > 0) sum += hosting * this.hosting(state);
    if (leftover > 0) sum += leftover * this.leftover(state);
    if (starvation > 0 && this.#cpuPerVram > 0) {
      sum += starvation * Math.max(0, vramMib - cpuMillicores / this.#cpuPerVram);
    }
    return sum;
  }

  leftover({ kind, cards, vramMib, cpuMillicores }: MachineState): number {
    let sum = 0;
    for (let position = 0; position < cards.length; position += 1) {
      const cardClass = kind.cardClasses[position];
      const free = effectiveFree(cards[position] ?? 0, cardClass);
      if (free <= 0 || cardClass === undefined) continue;
      const cpu = Math.min(cpuMillicores, (CPU_SLACK * cpuMillicores * free) / vramMib);
      sum += this.#demandOf(cardClass).leftover(free, cpu);
    }
    return sum;
  }

  /** FGD's measure, of the tasks with cards: Σ p_m · (VRAM that a task of shape m, coming next, could not use). */
  fragmentation(state: MachineState): number {
    const { kind, cards, vramMib, cpuMillicores } = state;
    let used = 0;
    let level = -1;
    let levelOf: CardDemand | null = null;
    for (let position = 0; position < cards.length; position += 1) {
      const cardClass = kind.cardClasses[position];
      const free = effectiveFree(cards[position] ?? 0, cardClass);
      if (free <= 0 || cardClass === undefined) continue;
      const demand = this.#demandOf(cardClass);
      if (demand !== levelOf) {
        level = demand.cpuLevel(cpuMillicores);
        levelOf = demand;
      }
      used += free * demand.fittingShare(free, level);
    }
    for (const { shape, share } of this.#manyCards) {
      if (shape.cpuMillicores <= cpuMillicores) used += share * usableByMany(state, shape);
    }
    return vramMib - used;
  }

  /** What is lost with the machine no longer holding a task that few others can hold. */
  hosting(state: MachineState): number {
    let value = 0;
    for (const { shape, worth } of this.#rare) if (holds(state, shape)) value -= worth;
    return value;
  }

  #demandOf(cardClass: CardClass): CardDemand {
    const known = this.#demands.get(cardClass);
    if (known !== undefined) return known;
    // Models that the same tasks may use share their tables.
    const admitted = this.#cardMix.map(({ shape }) => (admitsClass(shape, cardClass) ? "1" : "0")).join("");
    const signature = `${cardClass.totalMib} ${admitted}`;
    const demand = this.#demandsBySignature.get(signature) ?? new CardDemand(this.#cardMix, cardClass, this.#history);
    this.#demandsBySignature.set(signature, demand);
    this.#demands.set(cardClass, demand);
    return demand;
  }
}

interface RareShape {
  readonly shape: PlacementShape;
  readonly worth: number;
}

/** Shapes that fill much of a machine: a machine that can still hold one is worth the more the fewer could at all. */
function rareShapes(mix: readonly ShapeWeight[], { kinds }: FleetFacts, cpuPerVramMib: number, total: number) {
  const machines = kinds.reduce((sum, { count }) => sum + count, 0);
  return mix.flatMap(({ shape, share }): readonly RareShape[] => {
    if (shape.gpuCount === 1) return [];
    const hosts = kinds.reduce((sum, { idle, count }) => sum + (holds(idle, shape) ? count : 0), 0);
    if (hosts === 0) return [];
    const size = shape.gpuCount > 0 ? vramOf(shape) : cpuPerVramMib > 0 ? shape.cpuMillicores / cpuPerVramMib : 0;
    return [{ shape, worth: (share / total) * size * (machines / hosts) }];
  });
}

function holds(state: MachineState, shape: PlacementShape): boolean {
  if (state.cpuMillicores < shape.cpuMillicores || state.memoryMib < shape.memoryMib) return false;
  return shape.gpuCount === 0 || usableByMany(state, shape) > 0;
}

function usableByMany({ kind, cards }: MachineState, shape: PlacementShape): number {
  let count = 0;
  let usable = 0;
  for (let position = 0; position < cards.length; position += 1) {
    const cardClass = kind.cardClasses[position];
    const value = cards[position] ?? 0;
    if (cardClass === undefined || freeMibOf(value) < shape.perCardMib || !admitsClass(shape, cardClass)) continue;
    if (shape.exclusive && !canBeWhole(value)) continue;
    count += 1;
    usable += freeMibOf(value);
  }
  return count >= shape.gpuCount ? usable : 0;
}

function effectiveFree(value: number, cardClass: CardClass | undefined): number {
  const free = freeMibOf(value);
  if (cardClass === undefined) return free;
  const { totalMib } = cardClass;
  return canBeWhole(value) && free >= totalMib * WHOLE_SHARE ? totalMib : Math.min(free, totalMib);
}
