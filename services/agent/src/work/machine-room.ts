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
  function fitsOnCard(wanted: Amounts["cards"][number], running: readonly Amounts[]): boolean {
    let heldMib = wanted.vramMib;
    for (const { cards: held } of running) {
      for (const card of held) {
        if (card.cardId !== wanted.cardId) continue;
        if (card.exclusive || wanted.exclusive) return false;
        heldMib += card.vramMib;
      }
    }
    return heldMib <= (cards.get(wanted.cardId)?.vramMib ?? Infinity);
  }

  /** VRAM of cards that share the machine's memory counts as memory too. */
  function allMemoryMib(amounts: Amounts): number {
    let sumMib = amounts.memoryMib;
    for (const { cardId, vramMib } of amounts.cards) if (cards.get(cardId)?.isShared === true) sumMib += vramMib;
    return sumMib;
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
      // Asked for each assignment, with all that runs: nothing is built on the way.
      let millicores = wanted.cpuMillicores;
      let usedMib = allMemoryMib(wanted);
      for (const amounts of running) {
        millicores += amounts.cpuMillicores;
        usedMib += allMemoryMib(amounts);
      }
      return (
        millicores <= cpuMillicores && usedMib <= memoryMib && wanted.cards.every((card) => fitsOnCard(card, running))
      );
    },
  };
}
