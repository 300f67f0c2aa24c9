/**
 * What a machine has and what a task needs, in the only units used inside: integer millicores, integer MiB,
 * epoch milliseconds. Conversion from and to the wire belongs to the contracts library.
 */

/** CPU, 1000 is one core. */
export type Millicores = number;
/** Memory or VRAM, 2^20 bytes. */
export type Mib = number;
/** Milliseconds since 1970-01-01 UTC. */
export type EpochMs = number;

/** One divisible resource of a machine, as one sample saw it. */
export interface Dimension {
  readonly total: number;
  /** What the agent measured as not in use by anybody, Headroom's own attempts included in the use. */
  readonly available: number;
  /** The most that the owner lets Headroom have; at or above `total` means everything. */
  readonly offer: number;
  /** True when the figures come from configuration: nothing foreign can then be seen or subtracted. */
  readonly declared: boolean;
}

/** One graphics card, as one sample saw it. */
export interface Card {
  readonly cardId: string;
  /** Position as the driver counts, from 0: what people call "GPU 1". */
  readonly index: number;
  readonly model: string;
  readonly vramTotalMib: Mib;
  readonly vramAvailableMib: Mib;
  readonly vramOfferMib: Mib;
  readonly declared: boolean;
  /** Unified memory: VRAM taken on this card is taken from the machine's memory as well. */
  readonly sharedMemory: boolean;
}

/** Part of one card. `exclusive` (reservations only) keeps every other attempt off the card. */
export interface CardAmount {
  readonly cardId: string;
  readonly vramMib: Mib;
  readonly exclusive: boolean;
}

/** An amount of every dimension: what is reserved for, or used by, one attempt. */
export interface Amounts {
  readonly cpuMillicores: Millicores;
  /** Without what `cards` says of cards that share the machine's memory. */
  readonly memoryMib: Mib;
  readonly cards: readonly CardAmount[];
}

/** Measured use of one attempt whose processes still exist. */
export interface AttemptUse {
  readonly attemptId: string;
  readonly fence: number;
  readonly used: Amounts;
}

/** All that an agent says about its machine at one moment. Its parts are never mixed with those of another sample. */
export interface Sample {
  readonly sampledAtMs: EpochMs;
  /** Millicores. */
  readonly cpu: Dimension;
  /** 0..100. */
  readonly cpuLoadPercent: number;
  /** MiB. */
  readonly memory: Dimension;
  readonly cards: readonly Card[];
  /** The complete list of what runs; an attempt leaves it only when its processes are gone. */
  readonly attempts: readonly AttemptUse[];
}

export const NO_AMOUNTS: Amounts = { cpuMillicores: 0, memoryMib: 0, cards: [] };
