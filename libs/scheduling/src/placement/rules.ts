/**
 * The policies, as the one thing in which they differ: a number for a placement, given the machine before and after it.
 * The larger is preferred; of equal ones the first machine in the order of their names.
 */
import { CardHistory } from "./card-history.ts";
import { freeMibOf, type MachineKind, type MachineState } from "./machine-state.ts";
import type { PlacementShape } from "./shape.ts";
import { StrandedEstimate, type StrandedWeights } from "./stranded.ts";
import { covering, type TaskMix } from "./task-mix.ts";

export interface FleetKind {
  readonly kind: MachineKind;
  /** A machine of the kind with nothing on it. */
  readonly idle: MachineState;
  readonly count: number;
}

/** What is known of the fleet as a whole. */
export interface FleetFacts {
  readonly maxCpuMillicores: number;
  /** Of one machine. */
  readonly maxVramMib: number;
  /** Mean over all cards: "one card" where a formula speaks of one. */
  readonly meanCardMib: number;
  readonly kinds: readonly FleetKind[];
}

/** It looks at CPU and cards. Memory only decides whether a task fits: states that differ in it alone score the same. */
export interface PlacementRule {
  /** What it makes of a machine by itself: kept with the machine's state. */
  readonly valueOf: (state: MachineState) => number;
  /** `valueBefore`: what `valueOf` says of the machine before. */
  readonly score: (before: MachineState, after: MachineState, shape: PlacementShape, valueBefore: number) => number;
}

export interface RuleMaker {
  readonly name: string;
  /** Whether what it says depends on the mix: it is made anew when the mix has changed. */
  readonly learns: boolean;
  /** Chooses by chance among the machines that fit, with this seed. */
  readonly random?: number;
  /** Which of a machine's cards are taken where the score is equal; the tightest unless it says otherwise. */
  readonly cards?: "roomiest";
  readonly make: (fleet: FleetFacts, mix: TaskMix, history: CardHistory) => PlacementRule;
}

/** Score steps of the published implementations. */
const STEPS = 100;

const noValue = (): number => 0;

export const MOST_FREE_VRAM_RULE: RuleMaker = {
  name: "most-free-vram",
  learns: false,
  cards: "roomiest",
  make: () => ({ valueOf: noValue, score: (before) => before.vramMib }),
};

/** The machine that is left with the least: ½·C/C_max + ½·G/G_max, in hundredths. */
export const BEST_FIT_RULE: RuleMaker = {
  name: "best-fit",
  learns: false,
  make: ({ maxCpuMillicores, maxVramMib }) => ({
    valueOf: noValue,
    score: (_before, { cpuMillicores, vramMib }) =>
      Math.floor(STEPS * (1 - 0.5 * (ratio(cpuMillicores, maxCpuMillicores) + ratio(vramMib, maxVramMib)))),
  }),
};

/** The machine whose free resources point least in the direction of what is asked for. */
export const DOT_PRODUCT_RULE: RuleMaker = {
  name: "dot-product",
  learns: false,
  make: ({ maxCpuMillicores, maxVramMib }) => ({
    valueOf: noValue,
    score: (before, after) => {
      const cpu = ratio(before.cpuMillicores, maxCpuMillicores);
      const cpuAsked = ratio(before.cpuMillicores - after.cpuMillicores, maxCpuMillicores);
      const vram = ratio(before.vramMib, maxVramMib);
      const vramAsked = ratio(before.vramMib - after.vramMib, maxVramMib);
      return Math.floor(STEPS * (1 - (cpu * cpuAsked + vram * vramAsked) / 2));
    },
  }),
};

/** Cards in part use first, the fullest; then free cards of a machine in use, where few are needed; then idle machines, small ones first. */
export const PACKING_RULE: RuleMaker = {
  name: "packing",
  learns: false,
  make: () => ({ valueOf: noValue, score: packingScore }),
};

function packingScore(before: MachineState, after: MachineState, shape: PlacementShape): number {
  if (shape.gpuCount === 0) return 0;
  const idleBefore = idleCards(before);
  if (idleBefore === before.cards.length) return Math.max(Math.floor(STEPS / 3) - idleBefore, idleBefore);
  const idleTaken = idleBefore - idleCards(after);
  if (idleTaken > 0) return Math.max(STEPS / 2 - idleTaken, Math.floor(STEPS / 3));
  // Free shares of the cards taken, before: they were taken from the cards in part use.
  const taken = (before.vramMib - after.vramMib) / shape.gpuCount;
  const freeBefore = freeOfTaken(before, after) + taken * shape.gpuCount;
  const total = before.kind.cardClasses[0]?.totalMib ?? 1;
  return Math.max(STEPS - Math.floor((freeBefore / total) * (STEPS / 10)), STEPS / 2);
}

function idleCards({ cards, kind }: MachineState): number {
  let idle = 0;
  for (let position = 0; position < cards.length; position += 1) {
    if (freeMibOf(cards[position] ?? 0) >= (kind.cardClasses[position]?.totalMib ?? 0)) idle += 1;
  }
  return idle;
}

/** What is left of the cards that were taken: the values that are new. */
function freeOfTaken(before: MachineState, after: MachineState): number {
  const gone = [...before.cards];
  let left = 0;
  for (const value of after.cards) {
    const position = gone.indexOf(value);
    if (position >= 0) gone.splice(position, 1);
    else left += freeMibOf(value);
  }
  return left;
}

/** FGD needs none. */
const NO_HISTORY = new CardHistory();
/** FGD looks at the most frequent shapes that make up this share of all tasks. */
const FGD_COVER = 0.95;

/**
 * FGD (Weng et al., "Beware of Fragmentation", USENIX ATC 2023): least increase of expected fragmentation, in hundredths of a logistic
 * curve over one card. Tasks without cards count, and what is free of all cards is a fragment to them.
 */
export const FRAGMENTATION_RULE: RuleMaker = {
  name: "fragmentation",
  learns: true,
  make: (fleet, mix) => {
    const weights = covering(mix.weights(), FGD_COVER);
    const cardShare = weights.reduce((sum, { shape, share }) => sum + (shape.gpuCount > 0 ? share : 0), 0);
    const estimate = new StrandedEstimate(
      weights,
      fleet,
      { fragmentation: 1, hosting: 0, scarcity: 0, starvation: 0, leftover: 0 },
      NO_HISTORY,
    );
    const valueOf = (state: MachineState): number => {
      return cardShare * estimate.fragmentation(state) + (1 - cardShare) * state.vramMib;
    };
    return {
      valueOf,
      score: (_before, after, _shape, valueBefore) => {
        const fall = valueBefore - valueOf(after);
        return Math.floor(STEPS / (1 + Math.exp(-fall / Math.max(1, fleet.meanCardMib))));
      },
    };
  },
};

/** Found on five public workloads; what the terms measure comes from the mix. See docs/placement.md. */
export const STRANDED_WEIGHTS: StrandedWeights = {
  fragmentation: 0,
  hosting: 0.1,
  scarcity: 0.3,
  starvation: 0.4,
  leftover: 1,
};

/** The default: least growth of what will be stranded. */
export const STRANDED_RULE: RuleMaker = strandedRule("stranded", STRANDED_WEIGHTS);

export function strandedRule(name: string, weights: StrandedWeights): RuleMaker {
  return {
    name,
    learns: true,
    make: (fleet, mix, history) => {
      const estimate = new StrandedEstimate(mix.weights(), fleet, weights, history);
      const valueOf = (state: MachineState): number => estimate.of(state);
      return { valueOf, score: (_before, after, _shape, valueBefore) => valueBefore - valueOf(after) };
    },
  };
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

/** What an unsuspecting dispatcher does: any machine on which the task fits. Only simulations use it, as the baseline. */
export function randomRule(seed: number): RuleMaker {
  return { name: "random", learns: false, random: seed, make: () => ({ valueOf: noValue, score: () => 0 }) };
}

export const RULES: ReadonlyMap<string, RuleMaker> = new Map(
  [MOST_FREE_VRAM_RULE, BEST_FIT_RULE, DOT_PRODUCT_RULE, PACKING_RULE, FRAGMENTATION_RULE, STRANDED_RULE].map(
    (rule) => [rule.name, rule],
  ),
);

/** What a registry uses unless it is told otherwise. */
export const DEFAULT_RULE_NAME = STRANDED_RULE.name;
