/** What a model is worth to the tasks that ask for it by name. */
import type { CardClass } from "./machine-state.ts";
import type { FleetFacts } from "./rules.ts";
import { admitsClass, vramOf } from "./shape.ts";
import type { ShapeWeight } from "./task-mix.ts";

/**
 * Per class of cards: the share of the demand for VRAM that names its model, over the share of the fleet's VRAM that it is. A task that
 * names several counts for each by what there is of it. Empty when no task names a model.
 */
export function modelPrices(weights: readonly ShapeWeight[], { kinds }: FleetFacts): ReadonlyMap<CardClass, number> {
  const supply = new Map<CardClass, number>();
  let allSupply = 0;
  for (const { kind, count } of kinds) {
    for (const cardClass of kind.cardClasses) {
      supply.set(cardClass, (supply.get(cardClass) ?? 0) + cardClass.totalMib * count);
      allSupply += cardClass.totalMib * count;
    }
  }
  const prices = new Map<CardClass, number>();
  const allDemand = weights.reduce((sum, { shape, share }) => sum + share * vramOf(shape), 0);
  for (const { shape, share } of weights) {
    if (shape.gpuModels.length === 0) continue;
    const admitted = [...supply].filter(([cardClass]) => admitsClass(shape, cardClass));
    const admittedSupply = admitted.reduce((sum, [, mib]) => sum + mib, 0);
    for (const [cardClass] of admitted) {
      const price = ((share * vramOf(shape)) / allDemand) * (allSupply / admittedSupply);
      prices.set(cardClass, (prices.get(cardClass) ?? 0) + price);
    }
  }
  return prices;
}
