import type { CardMeasure } from "../gpu.ts";

/**
 * How far CUDA counts cards as the driver does. The driver counts all that a machine has; CUDA leaves out one that is divided (MIG) while another
 * is whole, and one that it cannot open. Up to the first of them an index means the same to both.
 */
export class CudaCount {
  #sharedBelow = Number.POSITIVE_INFINITY;

  /** What the driver told last. A card that is not among them is one that nobody could read. */
  cardsRead(cards: readonly Pick<CardMeasure, "index" | "isOutOfCount">[]): void {
    const counted = new Set(cards.filter((card) => card.isOutOfCount !== true).map((card) => card.index));
    let below = 0;
    while (counted.has(below)) below += 1;
    this.#sharedBelow = below;
  }

  /** Whether the driver's index of a card is CUDA's too. Until cards were read it is taken for so. */
  shares(index: number): boolean {
    return index < this.#sharedBelow;
  }
}

/** Of the cards of this machine: who reads them and who names them to programs have nothing else in common. */
export const cudaCountHere = new CudaCount();
