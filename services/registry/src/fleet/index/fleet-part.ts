/** A set of agents that lack the same, as far as it is known, but for the amounts by which they fall short. */
import { type Bits, both, isEmpty, type ScratchBits, without } from "./bits.ts";
import { keyOf, NO_MISS_KEY, PERMANENT, STATE } from "./rank-bounds.ts";
import type { RangeColumn } from "./range-column.ts";

/** One thing that all agents of a part lack. */
export interface Lack {
  /** What it weighs at the least, whatever the amount. */
  readonly base: number;
  /** The figure that falls short of `needed`, by how much adds to the weight; null: nothing is added. */
  readonly column: RangeColumn | null;
  readonly needed: number;
}

export interface PartFacts {
  /** Divisions made. */
  readonly level: number;
  /** What the task may run on, and no state keeps from work: nothing but room can be missing. */
  readonly isOpen: boolean;
  /** Columns cannot tell what its agents lack: it is not divided. */
  readonly isOdd: boolean;
  /** No amount that its agents have free matters: nothing has been measured, or no card is of a model that is asked for. */
  readonly isSettled: boolean;
  readonly isNever: boolean;
  readonly isNotMeant: boolean;
  readonly isUnreachable: boolean;
  readonly isBlocked: boolean;
  /** In the order in which rank-bounds.ts adds them up: rounding must not make a part look worse than its agents. */
  readonly lacks: readonly Lack[];
}

const UNKNOWN: PartFacts = {
  level: 0,
  isOpen: false,
  isOdd: false,
  isSettled: false,
  isNever: false,
  isNotMeant: false,
  isUnreachable: false,
  isBlocked: false,
  lacks: [],
};

export class FleetPart {
  readonly slots: Bits;
  readonly facts: PartFacts;
  readonly #scratch: ScratchBits;

  constructor(scratch: ScratchBits, slots: Bits, facts: Partial<PartFacts>) {
    this.#scratch = scratch;
    this.slots = slots;
    this.facts = { ...UNKNOWN, ...facts };
  }

  get isEmpty(): boolean {
    return isEmpty(this.slots);
  }

  /** No agent of the part has a smaller one. */
  get key(): number {
    const { isOpen, isNever, isNotMeant, isUnreachable, isBlocked, lacks } = this.facts;
    // Whoever is not open, and is not known yet to lack anything but room, will turn out to.
    if (!isOpen && !isBlocked && !isNotMeant) return keyOf(Number(isNever), 0, 0, 1, lacks.length + 1);
    if (lacks.length === 0) return NO_MISS_KEY;
    const flags = [Number(isNever), Number(isNotMeant), Number(isUnreachable), Number(isBlocked)] as const;
    return keyOf(...flags, lacks.length);
  }

  with(facts: Partial<PartFacts>): FleetPart {
    return new FleetPart(this.#scratch, this.slots, { ...this.facts, ...facts });
  }

  within(set: Bits): FleetPart {
    return this.#of(both(this.slots, set, this.#scratch.take()));
  }

  outside(set: Bits): FleetPart {
    return this.#of(without(this.slots, set, this.#scratch.take()));
  }

  reaching(column: RangeColumn, min: number): FleetPart {
    const slots = this.#scratch.copyOf(this.slots);
    column.keepAtLeast(slots, min);
    return this.#of(slots);
  }

  none(): FleetPart {
    return this.#of(this.#scratch.empty());
  }

  lacking(lacks: readonly Lack[]): FleetPart {
    return this.with({ lacks: [...this.facts.lacks, ...lacks] });
  }

  blocked(): FleetPart {
    return this.#lackingFirst(STATE).with({ isBlocked: true });
  }

  notMeant(): FleetPart {
    return this.#lackingFirst(PERMANENT).with({ isNotMeant: true, isNever: true });
  }

  #lackingFirst(base: number): FleetPart {
    return this.with({ lacks: [{ base, column: null, needed: 0 }, ...this.facts.lacks] });
  }

  #of(slots: Bits): FleetPart {
    return new FleetPart(this.#scratch, slots, this.facts);
  }
}
