export type CardVendor = "nvidia" | "amd";

/** AMD's drivers tell bare numbers; NVIDIA's ids begin with "GPU-" by themselves. */
export const amdIdPrefix = "amd-";

/** Whose card an id names; null: it does not say, as that of a declared card. */
export function vendorOf(cardId: string): CardVendor | null {
  if (cardId.startsWith("GPU-")) return "nvidia";
  return cardId.startsWith(amdIdPrefix) ? "amd" : null;
}

/** One card as its driver tells. */
export interface CardMeasure {
  readonly cardId: string;
  readonly index: number;
  readonly model: string;
  readonly totalMib: number;
  readonly availableMib: number;
  /** Percent, 0..100. */
  readonly utilization: number;
  readonly sharedMemory: boolean;
  readonly declared: boolean;
  /** It is divided or cannot be read, so that CUDA may count without it. */
  readonly isOutOfCount?: boolean;
}

/** VRAM that a process holds of a card; null: the driver does not tell. */
export interface ProcessVram {
  readonly cardId: string;
  readonly pid: number;
  readonly vramMib: number | null;
}

export interface GpuReading {
  readonly cards: readonly CardMeasure[];
  /** null: the driver does not tell about processes. */
  readonly processes: readonly ProcessVram[] | null;
}

/** The cards of one vendor, or declared ones. Reading never fails: what cannot be measured is not there, or has nothing available. */
export interface GpuProbe {
  /** `withProcesses`: some attempt has a card, so it matters who uses how much. */
  read(withProcesses: boolean): Promise<GpuReading>;
}

export const noCards: GpuReading = { cards: [], processes: [] };

/** What cannot be measured now is still there, and nothing of it is given away. */
export function withoutRoom(cards: readonly CardMeasure[]): GpuReading {
  return { cards: cards.map((card) => ({ ...card, availableMib: 0, utilization: 0 })), processes: null };
}

/** Several vendors as one. */
export function combinedProbe(probes: readonly GpuProbe[]): GpuProbe {
  return {
    async read(withProcesses) {
      const readings = await Promise.all(probes.map((probe) => probe.read(withProcesses)));
      const withCards = readings.filter((reading) => reading.cards.length > 0);
      return {
        cards: withCards.flatMap((reading) => reading.cards),
        // Processes of a vendor that does not tell are not counted as 0: its cards are looked up among those told.
        processes: withCards.every((reading) => reading.processes === null)
          ? null
          : withCards.flatMap((reading) => reading.processes ?? unknownUse(reading.cards)),
      };
    },
  };
}

/** Marks cards of which nobody knows who uses them: a row of no process and no figure. */
export function unknownUse(cards: readonly CardMeasure[]): readonly ProcessVram[] {
  return cards.map((card) => ({ cardId: card.cardId, pid: 0, vramMib: null }));
}
