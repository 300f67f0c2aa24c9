/** The distinct states of a fleet's machines: a slot for each, which machines are in it, and what has changed of late. */
import { Heap } from "./heap.ts";
import type { MachineKind, MachineState } from "./machine-state.ts";

export interface Slot {
  readonly index: number;
  /** What its machines have in common: their memory is not, where no card shares it. */
  readonly state: MachineState;
  readonly key: string;
  /** Machines in this state. */
  count: number;
  readonly members: Heap<string>;
  /** What the rule `valuedBy` makes of the state by itself. */
  value: number;
  valuedBy: object | null;
}

interface Machine {
  slot: Slot;
  state: MachineState;
}

/** Changes that are remembered, at least; whoever has missed more looks at all slots. */
const MIN_LOG = 4_096;
/** Names of machines that have left a slot are cleared away when they are more than those in it, and than this. */
const MAX_GONE = 64;

const isBefore = (a: string, b: string): boolean => a < b;

export class StateSlots {
  readonly #byKind = new Map<MachineKind, Map<string, Slot>>();
  readonly #machines = new Map<string, Machine>();
  readonly #byIndex: (Slot | null)[] = [];
  readonly #free: number[] = [];
  /** Slots that appeared, or whose first machine is an earlier one now. */
  #log: Slot[] = [];
  #logStart = 0;

  /** Counts machines that came and went: whoever lists them looks whether it is another. */
  membership = 0;
  /** Whether a machine has ever been there whose cards share its memory. */
  sharesMemory = false;

  get machineCount(): number {
    return this.#machines.size;
  }

  /** Indexes of slots are below this. */
  get capacity(): number {
    return this.#byIndex.length;
  }

  get slotCount(): number {
    return this.#byIndex.length - this.#free.length;
  }

  /** Where the log ends: changes from now on stand at and after it. */
  get logEnd(): number {
    return this.#logStart + this.#log.length;
  }

  *slots(): Generator<Slot> {
    for (const slot of this.#byIndex) if (slot !== null) yield slot;
  }

  /** Null: none has this index now. */
  at(index: number): Slot | null {
    return this.#byIndex[index] ?? null;
  }

  machineIds(): readonly string[] {
    return [...this.#machines.keys()].sort();
  }

  stateOf(machineId: string): MachineState | undefined {
    return this.#machines.get(machineId)?.state;
  }

  slotOf(machineId: string): Slot | undefined {
    return this.#machines.get(machineId)?.slot;
  }

  /** The machine is in this state now. The state is kept: it must not change afterwards. */
  put(machineId: string, state: MachineState): void {
    const known = this.#machines.get(machineId);
    const slot = this.#slotFor(state);
    if (known?.slot === slot) {
      known.state = state;
      return;
    }
    if (known === undefined) this.membership += 1;
    else this.#leave(known.slot);
    if (state.kind.sharesMemory) this.sharesMemory = true;
    const first = this.first(slot);
    slot.count += 1;
    slot.members.push(machineId);
    this.#machines.set(machineId, { slot, state });
    if (first === undefined || machineId < first) this.#note(slot);
    else if (slot.members.size > 2 * slot.count + MAX_GONE) this.#clearAway(slot);
  }

  remove(machineId: string): void {
    const known = this.#machines.get(machineId);
    if (known === undefined) return;
    this.#machines.delete(machineId);
    this.membership += 1;
    this.#leave(known.slot);
  }

  /** The first of its machines in the order of their names. */
  first(slot: Slot): string | undefined {
    if (slot.count === 0) return undefined;
    for (;;) {
      const machineId = slot.members.peek();
      if (machineId === undefined || this.slotOf(machineId) === slot) return machineId;
      slot.members.pop();
    }
  }

  /** All of its machines, in the order of their names. */
  *members(slot: Slot): Generator<string> {
    let last: string | null = null;
    for (const machineId of slot.members.inOrder()) {
      // A machine that has left and come back is named twice.
      if (machineId === last || this.slotOf(machineId) !== slot) continue;
      last = machineId;
      yield machineId;
    }
  }

  /** What has changed since `from`; null: too long ago, look at all. */
  changesSince(from: number, atMost: number): readonly Slot[] | null {
    if (from < this.#logStart || this.logEnd - from > atMost) return null;
    return this.#log.slice(from - this.#logStart);
  }

  #slotFor(state: MachineState): Slot {
    const { kind } = state;
    let slots = this.#byKind.get(kind);
    if (slots === undefined) this.#byKind.set(kind, (slots = new Map<string, Slot>()));
    const key = kind.sharesMemory
      ? `${state.cpuMillicores};${state.cards.join()};${state.memoryMib}`
      : `${state.cpuMillicores};${state.cards.join()}`;
    const known = slots.get(key);
    if (known !== undefined) return known;
    const index = this.#free.pop() ?? this.#byIndex.length;
    const common = kind.sharesMemory ? state : { ...state, memoryMib: Number.MAX_SAFE_INTEGER };
    const members = new Heap<string>(isBefore);
    const slot: Slot = { index, key, state: common, count: 0, members, value: 0, valuedBy: null };
    this.#byIndex[index] = slot;
    slots.set(key, slot);
    return slot;
  }

  #leave(slot: Slot): void {
    slot.count -= 1;
    if (slot.count > 0) return;
    const slots = this.#byKind.get(slot.state.kind);
    slots?.delete(slot.key);
    if (slots?.size === 0) this.#byKind.delete(slot.state.kind);
    this.#byIndex[slot.index] = null;
    this.#free.push(slot.index);
  }

  #clearAway(slot: Slot): void {
    const members = [...this.members(slot)];
    slot.members.clear();
    for (const machineId of members) slot.members.push(machineId);
  }

  #note(slot: Slot): void {
    if (this.#log.length >= Math.max(MIN_LOG, 2 * this.slotCount)) {
      this.#logStart += this.#log.length;
      this.#log = [];
    }
    this.#log.push(slot);
  }
}
