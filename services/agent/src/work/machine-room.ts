import type { wire } from "@headroom/contracts";
import type { Amounts } from "@headroom/scheduling";

/**
 * The last line of "no machine over-promised": whatever the services believe, what runs here fits into what the machine has. A promise
 * may have run out while nobody could be reached, and its assignment arrive when the room is somebody else's.
 */
export interface MachineRoom {
  /** What the machine has, as it was measured last. */
  note(sample: Pick<wire.Sample, "cpuMillicores" | "memoryMib" | "cards">): void;
  /** Whether `wanted` fits beside what is promised to those that run. Before the first sample nobody knows, and everything does. */
  fits(wanted: Amounts, running: readonly Amounts[]): boolean;
}

interface CardTotal {
  readonly vramMib: number;
  /** Its VRAM is the machine's memory. */
  readonly isShared: boolean;
}

export function createMachineRoom(): MachineRoom {
  let cpuMillicores = Infinity;
  let memoryMib = Infinity;
  let cards: ReadonlyMap<string, CardTotal> = new Map();

  /** A card that could not be read this time is not judged. */
  function fitsOnCard(cardId: string, all: readonly Amounts[]): boolean {
    const held = all.flatMap((amounts) => amounts.cards.filter((card) => card.cardId === cardId));
    const totalMib = cards.get(cardId)?.vramMib ?? Infinity;
    if (held.length > 1 && held.some(({ exclusive }) => exclusive)) return false;
    return sumOf(held, ({ vramMib }) => vramMib) <= totalMib;
  }

  return {
    note(sample) {
      cpuMillicores = sample.cpuMillicores?.total ?? Infinity;
      memoryMib = sample.memoryMib?.total ?? Infinity;
      cards = new Map(
        sample.cards.map((card) => [
          card.cardId,
          { vramMib: card.vramMib?.total ?? Infinity, isShared: card.sharedMemory },
        ]),
      );
    },
    fits(wanted, running) {
      const all = [...running, wanted];
      const sharedMib = (amounts: Amounts): number =>
        sumOf(amounts.cards, ({ cardId, vramMib }) => (cards.get(cardId)?.isShared === true ? vramMib : 0));
      return (
        sumOf(all, (amounts) => amounts.cpuMillicores) <= cpuMillicores &&
        sumOf(all, (amounts) => amounts.memoryMib + sharedMib(amounts)) <= memoryMib &&
        wanted.cards.every(({ cardId }) => fitsOnCard(cardId, all))
      );
    },
  };
}

function sumOf<T>(items: readonly T[], amountOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + amountOf(item), 0);
}
