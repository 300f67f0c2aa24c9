/**
 * A machine as placement compares it: what is free on it, without a name. Machines of one kind with the same amounts free are
 * in the same state, and whatever is computed of one of them holds for all.
 */
import type { Mib, Millicores } from "../resources.ts";

/** Cards that a task cannot tell apart but by what is free on them. */
export interface CardClass {
  /** Lower case. */
  readonly model: string;
  readonly totalMib: Mib;
  /** What is taken on it is taken from the machine's memory as well. */
  readonly sharedMemory: boolean;
}

/** What a machine is, apart from what is free on it. */
export interface MachineKind {
  readonly key: string;
  readonly cpuTotalMillicores: Millicores;
  readonly memoryTotalMib: Mib;
  /** The class of the card at each position. Cards of one class stand together. */
  readonly cardClasses: readonly CardClass[];
  /** Some card takes from the machine's memory: then that tells states apart as well. */
  readonly sharesMemory: boolean;
}

/** What is free. Cards of one class stand in the order of their free VRAM, least first. */
export interface MachineState {
  kind: MachineKind;
  cpuMillicores: Millicores;
  memoryMib: Mib;
  /** One value per card: see `cardValue`. */
  cards: number[];
  /** Sum over the cards. */
  vramMib: Mib;
}

/** Free VRAM of a card, and whether it can be given whole, in one integer that orders by VRAM. */
export function cardValue(freeMib: Mib, canBeWhole: boolean): number {
  return freeMib * 2 + (canBeWhole ? 1 : 0);
}

export function freeMibOf(value: number): Mib {
  // Not by a shift: an agent may say up to 2^50 MiB, and a shift cuts numbers down to 32 bits.
  return Math.floor(value / 2);
}

export function canBeWhole(value: number): boolean {
  return (value & 1) === 1;
}

export function copyState(state: MachineState): MachineState {
  return { ...state, cards: [...state.cards] };
}

export function kindKey(kind: Omit<MachineKind, "key" | "sharesMemory">): string {
  const { cpuTotalMillicores, memoryTotalMib, cardClasses } = kind;
  const cards = cardClasses.map(({ model, totalMib, sharedMemory }) => [model, totalMib, sharedMemory]);
  return JSON.stringify([cpuTotalMillicores, memoryTotalMib, cards]);
}

/** A machine of that kind with nothing on it. */
export function idleState(kind: MachineKind): MachineState {
  return {
    kind,
    cpuMillicores: kind.cpuTotalMillicores,
    memoryMib: kind.memoryTotalMib,
    cards: kind.cardClasses.map(({ totalMib }) => cardValue(totalMib, true)),
    vramMib: kind.cardClasses.reduce((sum, { totalMib }) => sum + totalMib, 0),
  };
}
