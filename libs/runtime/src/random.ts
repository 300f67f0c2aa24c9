import { randomUUID } from "node:crypto";

/** Randomness, as a port. Not for secrets: tokens come from node:crypto. */
export interface Random {
  /** From 0 (included) to 1 (not included). */
  next(): number;
  /** A version 4 UUID in lower case. */
  uuid(): string;
}

/** The process's randomness. */
export const systemRandom: Random = {
  next: () => Math.random(),
  uuid: () => randomUUID(),
};

/** `valueMs` spread evenly over ± `fraction` of it (0.1: ±10 %), never below 0. */
export function jitter(random: Random, valueMs: number, fraction: number): number {
  return Math.max(0, valueMs * (1 + (2 * random.next() - 1) * fraction));
}
