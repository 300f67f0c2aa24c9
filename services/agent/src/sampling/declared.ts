import type { GpuProbe } from "./gpu.ts";

/** A card written in the configuration in place of a measured one. */
export interface DeclaredCard {
  readonly model: string;
  readonly vramMib: number;
}

/** What the configuration says the machine has; null: measured. */
export interface DeclaredResources {
  readonly cpuMillicores: number | null;
  readonly memoryMib: number | null;
  /** An empty list: no cards, whatever is built in. */
  readonly cards: readonly DeclaredCard[] | null;
}

/** What the owner lets Headroom have at most; null: all. */
export interface Offer {
  readonly cpuMillicores: number | null;
  readonly memoryMib: number | null;
  /** Of each card. */
  readonly vramMib: number | null;
}

/** Declared cards. What runs on them cannot be measured; registries count their foreign use as 0. */
export function declaredProbe(cards: readonly DeclaredCard[]): GpuProbe {
  const reading = {
    cards: cards.map((card, index) => ({
      cardId: `gpu-${index}`,
      index,
      model: card.model,
      totalMib: card.vramMib,
      availableMib: card.vramMib,
      utilization: 0,
      sharedMemory: false,
      declared: true,
    })),
    processes: [],
  };
  return { read: () => Promise.resolve(reading) };
}
