/** A task as placement compares it: its needs in numbers, and the kinds of machines that may take it. */
import { shapeKey, type Needs } from "../needs.ts";
import type { Mib, Millicores } from "../resources.ts";
import type { CardClass, MachineKind } from "./machine-state.ts";

export interface PlacementShape {
  /** Two tasks with the same key go to the same places. */
  readonly key: string;
  /** What rules look at, which is not memory, pool and labels. */
  readonly amountsKey: string;
  readonly cpuMillicores: Millicores;
  readonly memoryMib: Mib;
  readonly gpuCount: number;
  /** At least 1 when a card is asked for: a card with nothing free is no room. */
  readonly perCardMib: Mib;
  readonly exclusive: boolean;
  /** Lower case; empty: any. */
  readonly gpuModels: readonly string[];
}

export function placementShape(needs: Needs): PlacementShape {
  const known = shapes.get(needs);
  if (known !== undefined) return known;
  const shape = makeShape(needs);
  shapes.set(needs, shape);
  return shape;
}

// Needs are never changed, and a batch asks for the shape of the same ones again and again.
const shapes = new WeakMap<Needs, PlacementShape>();

function makeShape(needs: Needs): PlacementShape {
  const { cpuMillicores, memoryMib, gpuCount, gpuVramMib, gpuExclusive, gpuModels } = needs;
  const perCardMib = gpuCount > 0 ? Math.max(1, gpuVramMib) : 0;
  const models = gpuModels.map((model) => model.toLowerCase());
  return {
    key: shapeKey(needs),
    amountsKey: JSON.stringify([cpuMillicores, gpuCount, perCardMib, gpuExclusive, models.toSorted()]),
    cpuMillicores,
    memoryMib,
    gpuCount,
    perCardMib,
    exclusive: gpuExclusive,
    gpuModels: models,
  };
}

/** Whether the shape may have cards of this class at all. */
export function admitsClass(shape: PlacementShape, { model, totalMib }: CardClass): boolean {
  const { gpuModels, perCardMib } = shape;
  return perCardMib <= totalMib && (gpuModels.length === 0 || gpuModels.some((wanted) => model.includes(wanted)));
}

/** Per position of the kind's cards. */
export function admittedCards(shape: PlacementShape, kind: MachineKind): readonly boolean[] {
  return kind.cardClasses.map((cardClass) => admitsClass(shape, cardClass));
}

/** What it takes of all cards, where a whole card counts as much as is asked of it. */
export function vramOf({ gpuCount, perCardMib }: PlacementShape): Mib {
  return gpuCount * perCardMib;
}
