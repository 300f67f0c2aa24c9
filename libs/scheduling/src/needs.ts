/** What a task needs, and the defaults for what it leaves unsaid. */
import type { CardAmount, Amounts, Mib, Millicores } from "./resources.ts";

/** What one task needs to run. All of it must be free on one agent. */
export interface Needs {
  readonly cpuMillicores: Millicores;
  readonly memoryMib: Mib;
  readonly gpuCount: number;
  /** Per card. */
  readonly gpuVramMib: Mib;
  /** Whole cards: nothing else of Headroom's runs on them meanwhile. */
  readonly gpuExclusive: boolean;
  /** A card will do whose model contains one of these, letter case aside; empty: any model. */
  readonly gpuModels: readonly string[];
  /** All of these must be the agent's. */
  readonly labels: Readonly<Record<string, string>>;
  /** Null: any pool. */
  readonly pool: string | null;
  /** The one agent that may run it; null: any. */
  readonly agentId: string | null;
}

export type PartialNeeds = { readonly [K in keyof Needs]?: Needs[K] | undefined };

export const DEFAULT_CPU_MILLICORES: Millicores = 1000;

/**
 * Fills in what was left unsaid: one core; one card if anything is said of cards (VRAM, a model, whole cards), else none; whole
 * cards only when cards are asked for without saying how much of them.
 */
export function normalizeNeeds(asked: PartialNeeds): Needs {
  const gpuVramMib = asked.gpuVramMib ?? 0;
  const speaksOfCards = gpuVramMib > 0 || asked.gpuExclusive === true || (asked.gpuModels?.length ?? 0) > 0;
  const gpuCount = asked.gpuCount ?? (speaksOfCards ? 1 : 0);
  return {
    cpuMillicores: asked.cpuMillicores ?? DEFAULT_CPU_MILLICORES,
    memoryMib: asked.memoryMib ?? 0,
    gpuCount,
    gpuVramMib,
    gpuExclusive: gpuCount > 0 && (asked.gpuExclusive ?? gpuVramMib === 0),
    gpuModels: asked.gpuModels ?? [],
    labels: asked.labels ?? {},
    pool: asked.pool ?? null,
    agentId: asked.agentId ?? null,
  };
}

export function needsGpu(needs: Pick<Needs, "gpuCount">): boolean {
  return needs.gpuCount > 0;
}

/** What to reserve for a task on the given cards. */
export function amountsFor(needs: Needs, cardIds: readonly string[]): Amounts {
  const cards: CardAmount[] = cardIds.map((cardId) => ({
    cardId,
    vramMib: needs.gpuVramMib,
    exclusive: needs.gpuExclusive,
  }));
  return { cpuMillicores: needs.cpuMillicores, memoryMib: needs.memoryMib, cards };
}

/**
 * One canonical text per shape of needs: two tasks with the same key fit in the same places. Order and repetition in
 * lists, and the order of labels, do not matter.
 */
export function shapeKey(needs: Needs): string {
  const known = shapeKeys.get(needs);
  if (known !== undefined) return known;
  const key = makeShapeKey(needs);
  shapeKeys.set(needs, key);
  return key;
}

// Needs are never changed, and a batch asks for the key of the same ones again and again.
const shapeKeys = new WeakMap<Needs, string>();

function makeShapeKey(needs: Needs): string {
  const models = [...new Set(needs.gpuModels.map((model) => model.toLowerCase()))].sort();
  const labels = Object.entries(needs.labels).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return JSON.stringify([
    needs.cpuMillicores,
    needs.memoryMib,
    needs.gpuCount,
    needs.gpuVramMib,
    needs.gpuExclusive,
    models,
    labels,
    needs.pool,
    needs.agentId,
  ]);
}
