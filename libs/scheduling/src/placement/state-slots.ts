/** The distinct states of a fleet's machines: a slot for each, which machines are in it, and what has changed of late. */
import { Heap } from "./heap.ts";
import { type MachineState, stateKey } from "./machine-state.ts";

export interface Slot {
  readonly index: number;
  readonly key: string;
  readonly state: MachineState;
  /** Machines in this state. */
  count: number;
  readonly members: Heap<string>;
}

/** Changes that are remembered, at least; whoever has missed more looks at all slots. */
const MIN_LOG = 4_096;

const isBefore = (a: string, b: string): boolean => a < b;

export class StateSlots {
  readonly #byKey = new Map<string, Slot>();
  readonly #slotOf = new Map<string, Slot>();
  readonly #free: number[] = [];
  #nextIndex = 0;
  /** Slots that appeared, or whose first machine is an earlier one now. */
  #log: Slot[] = [];
  #logStart = 0;

  get machineCount(): number {
    return this.#slotOf.size;
  }

  get slots(): Iterable<Slot> {
    return this.#byKey.values();
  }

  get slotCount(): number {
    return this.#byKey.size;
  }

  /** Where the log ends: changes from now on stand at and after it. */
  get logEnd(): number {
    return this.#logStart + this.#log.length;
  }

  machineIds(): readonly string[] {
    return [...this.#slotOf.keys()].sort();
  }

  stateOf(machineId: string): MachineState | undefined {
    return this.#slotOf.get(machineId)?.state;
  }

  /** The machine is in this state now. The state is kept: it must not change afterwards. */
  put(machineId: string, state: MachineState): void {
    const key = stateKey(state);
    const known = this.#slotOf.get(machineId);
    if (known?.key === key) return;
    if (known !== undefined) this.#leave(machineId, known);
    const slot = this.#byKey.get(key) ?? this.#open(key, state);
    const first = this.first(slot);
    slot.count += 1;
    slot.members.push(machineId);
    this.#slotOf.set(machineId, slot);
    if (first === undefined || machineId < first) this.#note(slot);
  }

  remove(machineId: string): void {
    const known = this.#slotOf.get(machineId);
    if (known !== undefined) this.#leave(machineId, known);
  }

  /** The first of its machines in the order of their names. */
  first(slot: Slot): string | undefined {
    if (slot.count === 0) return undefined;
    for (;;) {
      const machineId = slot.members.peek();
      if (machineId === undefined || this.#slotOf.get(machineId) === slot) return machineId;
      slot.members.pop();
    }
  }

  /** Calls `see` for what has changed since `from`; false: too long ago, look at all. */
  changesSince(from: number, see: (slot: Slot) => void): boolean {
    if (from < this.#logStart) return false;
    for (let position = from - this.#logStart; position < this.#log.length; position += 1) {
      const slot = this.#log[position];
      if (slot !== undefined) see(slot);
    }
    return true;
  }

  #open(key: string, state: MachineState): Slot {
    const index = this.#free.pop() ?? this.#nextIndex++;
    const slot: Slot = { index, key, state, count: 0, members: new Heap(isBefore) };
    this.#byKey.set(key, slot);
    return slot;
  }

  #leave(machineId: string, slot: Slot): void {
    slot.count -= 1;
    this.#slotOf.delete(machineId);
    if (slot.count > 0) return;
    this.#byKey.delete(slot.key);
    this.#free.push(slot.index);
  }

  #note(slot: Slot): void {
    if (this.#log.length >= Math.max(MIN_LOG, 2 * this.#byKey.size)) {
      this.#logStart += this.#log.length;
      this.#log = [];
    }
    this.#log.push(slot);
  }
}
