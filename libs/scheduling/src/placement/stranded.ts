/**
 * The estimate behind the default policy: how much VRAM of a machine will be *stranded*, left over in pieces or without CPU
 * to go with it, when nothing more comes to it. A task goes where the estimate grows least.
 *
 *     W(s) = Σ_i L(g_i, C·g_i/G)  +  a·F(s)  +  b·max(0, G − C/ρ)
 *
 * g_i free VRAM of card i, G their sum, C free CPU, ρ the CPU per VRAM that the mix asks for. L: expected leftover of a card
 * that gets its share of the machine's CPU (`CardDemand`). F: expected fragmentation (FGD), which sees the machine whole and
 * one task ahead. The last term: VRAM that the CPU cannot feed. All three are in MiB and know nothing but the mix.
 */
import { CardDemand } from "./card-demand.ts";
import { canBeWhole, type CardClass, freeMibOf, type MachineState } from "./machine-state.ts";
import { admitsClass, type PlacementShape } from "./shape.ts";
import { cpuPerVram, type ShapeWeight } from "./task-mix.ts";

export interface StrandedWeights {
  /** Of fragmentation. */
  readonly fragmentation: number;
  /** Of VRAM that the CPU cannot feed. */
  readonly starvation: number;
  /** Of leftovers. */
  readonly leftover: number;
  /** See `CardDemand`. */
  readonly patience: number;
}

/** A card that is free but for what its owner's desktop draws on it counts as free. */
const WHOLE_SHARE = 0.9;

export class StrandedEstimate {
  readonly #weights: StrandedWeights;
  readonly #cardMix: readonly ShapeWeight[];
  readonly #manyCards: readonly ShapeWeight[];
  readonly #cpuPerVram: number;
  readonly #demands = new Map<CardClass, CardDemand>();
  readonly #demandsBySignature = new Map<string, CardDemand>();

  /** The shares of the mix need not sum to 1: tasks without cards are left out. */
  constructor(mix: readonly ShapeWeight[], weights: StrandedWeights) {
    this.#weights = weights;
    const withCards = mix.filter(({ shape }) => shape.gpuCount > 0);
    const total = withCards.reduce((sum, { share }) => sum + share, 0);
    this.#cardMix = withCards.map(({ shape, share }) => ({ shape, share: share / total }));
    this.#manyCards = this.#cardMix.filter(({ shape }) => shape.gpuCount > 1);
    this.#cpuPerVram = cpuPerVram(this.#cardMix);
  }

  of(state: MachineState): number {
    const { vramMib, cpuMillicores } = state;
    if (vramMib <= 0) return 0;
    const { fragmentation, starvation, leftover } = this.#weights;
    let sum = fragmentation > 0 ? fragmentation * this.fragmentation(state) : 0;
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
      sum += this.#demandOf(cardClass).leftover(free, (cpuMillicores * free) / vramMib);
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

  #demandOf(cardClass: CardClass): CardDemand {
    const known = this.#demands.get(cardClass);
    if (known !== undefined) return known;
    // Models that the same tasks may use share their tables.
    const admitted = this.#cardMix.map(({ shape }) => (admitsClass(shape, cardClass) ? "1" : "0")).join("");
    const signature = `${cardClass.totalMib} ${admitted}`;
    const demand =
      this.#demandsBySignature.get(signature) ?? new CardDemand(this.#cardMix, cardClass, this.#weights.patience);
    this.#demandsBySignature.set(signature, demand);
    this.#demands.set(cardClass, demand);
    return demand;
  }
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
