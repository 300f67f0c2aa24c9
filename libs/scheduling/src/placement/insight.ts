/** What has been learned, as figures and in words: for people who want to know why tasks go where they go. */
import type { Experience } from "./engine.ts";
import { type CountedState, fleetFacts } from "./lessons.ts";
import { modelPrices } from "./model-prices.ts";
import { admitsClass, type PlacementShape, vramOf } from "./shape.ts";
import { cpuPerVram, type ShapeWeight } from "./task-mix.ts";

/** A model that tasks ask for by name. */
export interface ModelInsight {
  /** Lower case. */
  readonly model: string;
  readonly totalMib: number;
  /** Of the fleet's VRAM, 0..1. */
  readonly supplyShare: number;
  /** Of the VRAM asked for, what names it, 0..1. */
  readonly demandShare: number;
  /** Demand over supply: above 1 there is less than is asked for by name. */
  readonly price: number;
}

/** Cards with about as much free. */
export interface HoleInsight {
  readonly cardMib: number;
  readonly fromMib: number;
  /** Exclusive. */
  readonly toMib: number;
  /** How many there are now. */
  readonly cards: number;
  /** Tasks that came to one of them, of 1,000 that arrived while it stood there; null: too little has been seen. */
  readonly filledPerThousand: number | null;
}

export interface Insight {
  /** The most frequent first. */
  readonly shapes: readonly ShapeWeight[];
  readonly shares: { readonly part: number; readonly whole: number; readonly several: number; readonly none: number };
  /** CPU that tasks with cards ask for, in millicores per MiB of VRAM that they ask for. */
  readonly cpuPerVram: number;
  readonly models: readonly ModelInsight[];
  /** The most VRAM first. */
  readonly holes: readonly HoleInsight[];
}

/** `states`: the fleet. */
export function insightOf({ mix, history }: Experience, states: readonly CountedState[]): Insight {
  const shapes = mix.weights();
  const facts = fleetFacts(states);
  const largestMib = Math.max(
    0,
    ...facts.kinds.flatMap(({ kind }) => kind.cardClasses.map(({ totalMib }) => totalMib)),
  );
  const shareOf = (matches: (shape: PlacementShape) => boolean): number =>
    shapes.reduce((sum, { shape, share }) => sum + (matches(shape) ? share : 0), 0);
  const isWhole = (shape: PlacementShape): boolean =>
    shape.exclusive || (largestMib > 0 && shape.perCardMib >= largestMib);
  return {
    shapes,
    shares: {
      part: shareOf((shape) => shape.gpuCount === 1 && !isWhole(shape)),
      whole: shareOf((shape) => shape.gpuCount === 1 && isWhole(shape)),
      several: shareOf(({ gpuCount }) => gpuCount > 1),
      none: shareOf(({ gpuCount }) => gpuCount === 0),
    },
    cpuPerVram: cpuPerVram(shapes),
    models: modelInsights(shapes, states),
    holes: history.holes(states),
  };
}

function modelInsights(shapes: readonly ShapeWeight[], states: readonly CountedState[]): readonly ModelInsight[] {
  const facts = fleetFacts(states);
  const prices = modelPrices(shapes, facts);
  const supply = new Map<string, number>();
  let all = 0;
  for (const { kind, count } of facts.kinds) {
    for (const { model, totalMib } of kind.cardClasses) {
      supply.set(`${model} ${totalMib}`, (supply.get(`${model} ${totalMib}`) ?? 0) + totalMib * count);
      all += totalMib * count;
    }
  }
  const demand = shapes.reduce((sum, { shape, share }) => sum + share * vramOf(shape), 0) || 1;
  const insights = [...prices].map(([cardClass, price]): ModelInsight => {
    const { model, totalMib } = cardClass;
    const named = shapes.filter(({ shape }) => shape.gpuModels.length > 0 && admitsClass(shape, cardClass));
    const asked = named.reduce((sum, { shape, share }) => sum + share * vramOf(shape), 0);
    const supplyShare = (supply.get(`${model} ${totalMib}`) ?? 0) / all;
    return { model, totalMib, supplyShare, demandShare: asked / demand, price };
  });
  // One class stands there once, whatever made it.
  const byClass = new Map(insights.map((insight) => [`${insight.model} ${insight.totalMib}`, insight]));
  return [...byClass.values()].sort((a, b) => b.price - a.price || (a.model < b.model ? -1 : 1));
}

const MIB_PER_GIB = 1_024;
const MILLI = 1_000;
/** Of a share below this nothing is said. */
const WORTH_SAYING = 0.0005;
/** A card that is filled less often, of 1,000 arrivals, hardly ever is. */
const SELDOM_PER_THOUSAND = 0.1;

/** A few sentences, the weightiest first. Empty before anything has arrived. */
export function insightSentences({ shapes, shares, cpuPerVram: perMib, models, holes }: Insight): readonly string[] {
  if (shapes.length === 0)
    return ["No task has asked for room yet: until some have, machines are spared that few others can stand in for."];
  const sentences = [`Of 100 tasks, ${classesText(shares)}.`];
  if (perMib > 0) {
    const cores = perMib * (MIB_PER_GIB / MILLI);
    sentences.push(
      `Tasks with cards ask for ${figure(cores)} cores per GiB of VRAM: VRAM that is free beyond what a machine's free cores can go with counts as stranded.`,
    );
  }
  for (const { model, price, demandShare, supplyShare } of models) {
    if (price <= 1) continue;
    sentences.push(
      `${model} is scarce: ${percentText(demandShare)} of the VRAM asked for names it, and it is ${percentText(supplyShare)} of the fleet's; tasks that may go elsewhere keep off it.`,
    );
  }
  const [stuck] = holes.filter(({ filledPerThousand }) => (filledPerThousand ?? 1) < SELDOM_PER_THOUSAND);
  if (stuck !== undefined) {
    sentences.push(
      `${stuck.cards} cards of ${gib(stuck.cardMib)} GiB have ${gib(stuck.fromMib)} to ${gib(stuck.toMib)} GiB free, and hardly a task comes to them: what leaves such a rest is avoided.`,
    );
  }
  return sentences;
}

function classesText({ part, whole, several, none }: Insight["shares"]): string {
  const parts: (readonly [number, string])[] = [
    [part, "a part of a card"],
    [whole, "a whole card"],
    [several, "several cards"],
    [none, "no card"],
  ];
  return parts
    .filter(([share]) => share >= WORTH_SAYING)
    .map(([share, text], index) => `${figure(share * 100)} ${index === 0 ? "take " : ""}${text}`)
    .join(", ");
}

const gib = (mib: number): string => figure(mib / MIB_PER_GIB);
const percentText = (share: number): string => `${figure(share * 100)} %`;

/** Two figures that count. */
function figure(value: number): string {
  return value >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}
