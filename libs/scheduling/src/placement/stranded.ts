/**
 * The estimate behind the default policy: how much VRAM of a machine will be *stranded*, left over in pieces or without CPU
 * to go with it. A task goes where the estimate grows least.
 *
 *     W(s) = Σ_i L(g_i, c_i)  +  b·max(0, G − C/ρ)  −  h·Σ_m worth_m·[s holds m]  −  p·Σ_i price_i·g_i
 *
 * g_i free VRAM of card i, G their sum, C free CPU, c_i the card's share of it, ρ the CPU per VRAM that the mix asks for. L: expected
 * leftover of a card (`CardDemand`). Then VRAM that the CPU cannot feed, what is lost with a machine that could hold what few can, and
 * what scarce models are worth to those that name them. All are in MiB. FGD's expected fragmentation F, for the policy that is FGD's, is
 * computed here as well.
 */
import { modelPrices } from "./model-prices.ts";
import { CardHistory } from "./card-history.ts";
import { cpuScarcity } from "./cpu-scarcity.ts";
import { CardDemand } from "./card-demand.ts";
import {
  canBeWhole,
  type CardClass,
  freeMibOf,
  idleState,
  type MachineKind,
  type MachineState,
} from "./machine-state.ts";
import { admitsClass, admittedCards, type PlacementShape, vramOf } from "./shape.ts";
import { holds, usableByMany } from "./several-cards.ts";
import type { FleetFacts } from "./rules.ts";
import { cpuPerVram, type ShapeWeight, type TaskMix } from "./task-mix.ts";

export interface StrandedWeights {
  /** Of fragmentation: FGD has nothing else, the default does without. */
  readonly fragmentation: number;
  /** Of machines that can hold what few can. */
  readonly hosting: number;
  /** Of free VRAM of models that are asked for by name. */
  readonly scarcity: number;
  /** Of VRAM that the CPU cannot feed. */
  readonly starvation: number;
  /** Of leftovers. */
  readonly leftover: number;
}

/** A card's tasks may use this much more than the card's share of the CPU: not all cards need theirs. */
const CPU_SLACK = 2;
/** Where CPU is scarce, so much of what is said of starvation is said of twice the CPU. */
const SCARCITY_SHARE = 0.5;
/** Nobody has asked for a whole machine of a kind yet: it is reckoned with all the same, as this share of the tasks with cards. */
const WHOLE_MACHINE_SHARE = 3 / 1_000;
/** A card that is free but for what its owner's desktop draws on it counts as free. */
const WHOLE_SHARE = 0.9;

export class StrandedEstimate {
  readonly #weights: StrandedWeights;
  readonly #history: CardHistory;
  readonly #cardMix: readonly ShapeWeight[];
  readonly #manyCards: readonly ShapeWeight[];
  readonly #cpuPerVram: number;
  readonly #cpuScarcity: number;
  readonly #rare: readonly RareShape[];
  readonly #prices: ReadonlyMap<CardClass, number>;
  readonly #profiles = new Map<MachineKind, KindProfile>();
  #lastKind: MachineKind | null = null;
  #lastProfile: KindProfile | null = null;
  readonly #demands = new Map<CardClass, CardDemand>();
  readonly #demandsBySignature = new Map<string, CardDemand>();

  /** The shares of the mix need not sum to 1: tasks without cards are left out. */
  constructor(mix: readonly ShapeWeight[], fleet: FleetFacts, weights: StrandedWeights, history: CardHistory) {
    this.#weights = weights;
    this.#history = history;
    const withCards = mix.filter(({ shape }) => shape.gpuCount > 0);
    // Before any task with cards has come, those without are all that is known.
    const total = withCards.reduce((sum, { share }) => sum + share, 0) || 1;
    this.#cardMix = withCards.map(({ shape, share }) => ({ shape, share: share / total }));
    this.#manyCards = this.#cardMix.filter(({ shape }) => shape.gpuCount > 1);
    this.#cpuPerVram = cpuPerVram(this.#cardMix);
    this.#cpuScarcity = cpuScarcity(mix, fleet);
    this.#prices = modelPrices(this.#cardMix, fleet);
    this.#rare = weights.hosting > 0 ? rareShapes(mix, fleet, this.#cpuPerVram, total) : [];
  }

  /** For FGD's measure alone. */
  static ofFragmentation(mix: TaskMix): StrandedEstimate {
    const facts = { maxCpuMillicores: 0, maxVramMib: 0, meanCardMib: 0, kinds: [] };
    const weights = { fragmentation: 1, hosting: 0, scarcity: 0, starvation: 0, leftover: 0 };
    return new StrandedEstimate(mix.weights(), facts, weights, new CardHistory());
  }

  of(state: MachineState): number {
    const { vramMib, cpuMillicores } = state;
    const { fragmentation, hosting, scarcity, starvation, leftover } = this.#weights;
    let sum = fragmentation > 0 ? fragmentation * this.fragmentation(state) : 0;
    if (hosting > 0) sum += hosting * this.hosting(state);
    if (leftover > 0) sum += leftover * this.leftover(state);
    if (scarcity > 0) sum -= scarcity * this.scarcity(state);
    if (starvation > 0 && this.#cpuPerVram > 0) {
      const fed = cpuMillicores / this.#cpuPerVram;
      const share = SCARCITY_SHARE * this.#cpuScarcity;
      sum += starvation * (1 - share) * Math.max(0, vramMib - fed);
      // Others will have their part of the CPU: so it must do for twice as much.
      if (share > 0) sum += starvation * share * Math.max(0, vramMib - fed / 2);
    }
    return sum;
  }

  leftover({ kind, cards, vramMib, cpuMillicores }: MachineState): number {
    const { demands } = this.#profileOf(kind);
    let sum = 0;
    for (let position = 0; position < cards.length; position += 1) {
      const demand = demands[position];
      const free = effectiveFree(cards[position] ?? 0, kind.cardClasses[position]);
      if (free <= 0 || demand === undefined) continue;
      const cpu = Math.min(cpuMillicores, (CPU_SLACK * cpuMillicores * free) / vramMib);
      sum += demand.leftover(free, cpu);
    }
    return sum;
  }

  /** FGD's measure, of the tasks with cards: Σ p_m · (VRAM that a task of shape m, coming next, could not use). */
  fragmentation(state: MachineState): number {
    const { kind, cards, vramMib, cpuMillicores } = state;
    const { demands, manyCards, isUniform } = this.#profileOf(kind);
    let usable = 0;
    let level = -1;
    let levelOf: CardDemand | null = null;
    for (let position = 0; position < cards.length; position += 1) {
      const demand = demands[position];
      const free = effectiveFree(cards[position] ?? 0, kind.cardClasses[position]);
      if (free <= 0 || demand === undefined) continue;
      if (demand !== levelOf) {
        level = demand.cpuLevel(cpuMillicores);
        levelOf = demand;
      }
      usable += free * demand.fittingShare(free, level);
    }
    for (const { shape, share, admitted } of manyCards) {
      if (shape.cpuMillicores <= cpuMillicores) usable += share * usableByMany(state, shape, admitted, isUniform);
    }
    return vramMib - usable;
  }

  /** What is lost with the machine no longer holding a task that few others can hold. */
  hosting(state: MachineState): number {
    let value = 0;
    const { rare, isUniform } = this.#profileOf(state.kind);
    for (const { shape, worth, admitted } of rare) {
      if (holds(state, shape, admitted, isUniform)) value -= worth;
    }
    return value;
  }

  /** The price of its free VRAM: what is asked for by name, over what there is. */
  scarcity({ kind, cards }: MachineState): number {
    if (this.#prices.size === 0) return 0;
    let price = 0;
    for (let position = 0; position < cards.length; position += 1) {
      const cardClass = kind.cardClasses[position];
      if (cardClass !== undefined) price += (this.#prices.get(cardClass) ?? 0) * freeMibOf(cards[position] ?? 0);
    }
    return price;
  }

  #profileOf(kind: MachineKind): KindProfile {
    if (kind === this.#lastKind && this.#lastProfile !== null) return this.#lastProfile;
    let profile = this.#profiles.get(kind);
    if (profile === undefined) {
      const idle = idleState(kind);
      const withAdmitted = <Entry extends { readonly shape: PlacementShape }>(entries: readonly Entry[]) =>
        entries
          .map((entry) => ({ ...entry, admitted: admittedCards(entry.shape, kind) }))
          .filter(({ shape, admitted }) => holds(idle, shape, admitted, false));
      profile = {
        isUniform: kind.cardClasses.every((cardClass) => cardClass === kind.cardClasses[0]),
        demands: kind.cardClasses.map((cardClass) => this.#demandOf(cardClass)),
        manyCards: withAdmitted(this.#manyCards),
        rare: withAdmitted(this.#rare),
      };
      this.#profiles.set(kind, profile);
    }
    this.#lastKind = kind;
    this.#lastProfile = profile;
    return profile;
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

/** What the mix means to machines of one kind. */
interface KindProfile {
  /** All of its cards are of one class. */
  readonly isUniform: boolean;
  /** By position of the card. */
  readonly demands: readonly CardDemand[];
  readonly manyCards: readonly (ShapeWeight & { readonly admitted: readonly boolean[] })[];
  readonly rare: readonly (RareShape & { readonly admitted: readonly boolean[] })[];
}

interface RareShape {
  readonly shape: PlacementShape;
  readonly worth: number;
}

/** Shapes that fill much of a machine: a machine that can still hold one is worth the more the fewer could at all. */
function rareShapes(mix: readonly ShapeWeight[], { kinds }: FleetFacts, cpuPerVramMib: number, total: number) {
  const machines = kinds.reduce((sum, { count }) => sum + count, 0);
  const guessed = kinds.map(({ kind }) => ({ shape: wholeMachine(kind), share: WHOLE_MACHINE_SHARE * total }));
  // Of tasks with one card there are so many places that the machines that hold them need no guarding.
  const large = mix.filter(({ shape }) => shape.gpuCount !== 1);
  return [...large, ...guessed].flatMap(({ shape, share }): readonly RareShape[] => {
    const hosts = kinds.reduce(
      (sum, { kind, idle, count }) => sum + (holds(idle, shape, admittedCards(shape, kind), false) ? count : 0),
      0,
    );
    if (hosts === 0) return [];
    const size = shape.gpuCount > 0 ? vramOf(shape) : cpuPerVramMib > 0 ? shape.cpuMillicores / cpuPerVramMib : 0;
    return [{ shape, worth: (share / total) * size * (machines / hosts) }];
  });
}

/** A task that would need all cards of such a machine, and nearly all of its CPU. */
function wholeMachine({ key, cpuTotalMillicores, cardClasses }: MachineKind): PlacementShape {
  const perCardMib = Math.min(...cardClasses.map(({ totalMib }) => totalMib));
  return {
    key: `whole ${key}`,
    amountsKey: `whole ${key}`,
    cpuMillicores: Math.floor(cpuTotalMillicores * WHOLE_SHARE),
    memoryMib: 0,
    gpuCount: cardClasses.length,
    perCardMib: cardClasses.length > 0 ? perCardMib : 0,
    exclusive: false,
    gpuModels: [],
  };
}

function effectiveFree(value: number, cardClass: CardClass | undefined): number {
  const free = freeMibOf(value);
  if (cardClass === undefined) return free;
  const { totalMib } = cardClass;
  return canBeWhole(value) && free >= totalMib * WHOLE_SHARE ? totalMib : Math.min(free, totalMib);
}
