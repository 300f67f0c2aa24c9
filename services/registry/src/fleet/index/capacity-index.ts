/**
 * The fleet as questions about capacity see it: figures in columns, states, pools, labels and models as sets, orders by
 * whatever was asked for. Changes are noted at once and taken in when the next question comes, so an agent that beats ten
 * times between two questions costs one update.
 */
import { type AgentStatus, type AgentView, isOpenForWork } from "@headroom/scheduling";
import type { StoredAgent } from "../../store/stored-agent.ts";
import { viewOf } from "../agent-views.ts";
import type { Fleet } from "../fleet.ts";
import { addBit, type Bits, dropBit, grown, keepCommon, ScratchBits, wordsFor } from "./bits.ts";
import { CardSets, largestCardsOf, RANKED_CARDS } from "./card-sets.ts";
import { FitColumns } from "./fit-columns.ts";
import { PoolTotals } from "./pool-totals.ts";
import { RangeColumn } from "./range-column.ts";
import { SlotSet, SlotSets } from "./slot-set.ts";
import { SortedSlots, type SortValue } from "./sorted-slots.ts";

/** Orders kept; each is made when it is first asked for. */
const MAX_ORDERS = 64;

/** A figure by which agents can be ordered. */
export interface OrderFigure {
  readonly name: string;
  valueOf(agent: StoredAgent): SortValue;
}

interface Ordered {
  readonly figure: OrderFigure;
  readonly slots: SortedSlots;
}

export class CapacityIndex {
  readonly cpu = new RangeColumn();
  readonly memory = new RangeColumn();
  readonly vram = new RangeColumn();
  /** The VRAM free on an agent's roomiest card, on its second, and so on; -1 where there is none. */
  readonly rankedCards: readonly RangeColumn[] = Array.from({ length: RANKED_CARDS }, () => new RangeColumn());
  readonly cards = new CardSets();
  readonly pools = new PoolTotals();
  readonly fitColumns = new FitColumns();
  /** For whoever answers a question; nothing of it outlives the answer. */
  readonly scratch = new ScratchBits();

  readonly #fleet: Fleet;
  readonly #pending = new Set<string>();
  readonly #slots = new Map<string, number>();
  readonly #agents: (StoredAgent | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #poolMembers = new SlotSets();
  readonly #labelled = new SlotSets();
  readonly #byStatus = new SlotSets();
  readonly #orders = new Map<string, Ordered>();
  #open: Bits = new Int32Array(2);
  #attached: Bits = new Int32Array(2);
  #scratch: Bits = new Int32Array(2);

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    for (const { agentId } of fleet.agents()) this.#pending.add(agentId);
    fleet.onChange(({ agentId }) => void this.#pending.add(agentId));
  }

  /** Takes in what has changed since the last question. */
  refresh(): void {
    this.refreshSome(Number.POSITIVE_INFINITY);
  }

  /**
   * Takes in this many changes at most. Called every second, so that no question has to pay for a long silence, and a
   * flood of beats that nobody asks about does not pay for each of its samples.
   */
  refreshSome(limit: number): void {
    let left = limit;
    for (const agentId of this.#pending) {
      if (left <= 0) return;
      left -= 1;
      this.#pending.delete(agentId);
      this.#take(agentId, this.#fleet.get(agentId));
    }
  }

  agentAt(slot: number): StoredAgent {
    const agent = this.#agents[slot];
    if (agent === undefined) throw new RangeError(`slot ${slot} has no agent`);
    return agent;
  }

  viewAt(slot: number): AgentView {
    return viewOf(this.agentAt(slot));
  }

  /** Undefined: no such agent. */
  slotOf(agentId: string): number | undefined {
    return this.#slots.get(agentId);
  }

  /** All agents. */
  *views(): Generator<AgentView> {
    for (const slot of this.#slots.values()) yield this.viewAt(slot);
  }

  /** The slots of agents that take work, in a bitmap to be narrowed by the caller; the next call overwrites it. */
  openSlots(requireAttached: boolean): Bits {
    const { words } = this.fitColumns;
    if (this.#scratch.length !== words) this.#scratch = new Int32Array(words);
    this.#scratch.set(this.#open.subarray(0, words));
    if (requireAttached) keepCommon(this.#scratch, this.#attached);
    return this.#scratch;
  }

  /** The sets that an agent must be in; null when one of them is empty. */
  setsFor(poolName: string | null, labels: Readonly<Record<string, string>>): readonly SlotSet[] | null {
    const sets: SlotSet[] = [];
    const wanted = Object.entries(labels).map(([key, value]) => this.#labelled.get(labelKey(key, value)));
    if (poolName !== null) wanted.push(this.#poolMembers.get(poolName));
    for (const set of wanted) {
      if (set === undefined) return null;
      sets.push(set);
    }
    return sets;
  }

  /** Agents of these states; none given: all that are known. */
  withStatus(statuses: ReadonlySet<AgentStatus>): Bits {
    if (statuses.size === 0) return this.fitColumns.sets.known.slice();
    const found: Bits = new Int32Array(this.fitColumns.words);
    for (const status of statuses) this.#byStatus.get(status)?.addTo(found);
    return found;
  }

  /** The order by this figure; made at the first call (80 ms for 100,000 agents), kept right from then on. */
  orderBy(figure: OrderFigure): SortedSlots {
    const known = this.#orders.get(figure.name);
    if (known !== undefined) return known.slots;
    if (this.#orders.size >= MAX_ORDERS) throw new RangeError("more orders are asked for than there are figures");
    const slots = new SortedSlots((slot) => this.#agents[slot]?.agentId ?? "");
    slots.fill([...this.#slots.values()].map((slot) => [slot, figure.valueOf(this.agentAt(slot))]));
    this.#orders.set(figure.name, { figure, slots });
    return slots;
  }

  #take(agentId: string, agent: StoredAgent | undefined): void {
    const slot = this.#slots.get(agentId);
    if (agent === undefined) {
      if (slot !== undefined) this.#leave(slot, agentId);
      return;
    }
    const place = slot ?? this.#settle(agentId);
    const before = this.#agents[place];
    if (before === agent) return;
    this.#agents[place] = agent;
    const view = viewOf(agent);
    this.fitColumns.set(place, view);
    this.#setFigures(place, view);
    this.#setStates(place, agent, view);
    this.#setNames(place, before, agent);
    for (const { figure, slots } of this.#orders.values()) slots.set(place, figure.valueOf(agent));
    this.pools.change(before, agent);
  }

  #settle(agentId: string): number {
    const slot = this.#freeSlots.pop() ?? this.#slots.size;
    this.#slots.set(agentId, slot);
    const words = wordsFor(slot + 1);
    this.#open = grown(this.#open, words);
    this.#attached = grown(this.#attached, words);
    return slot;
  }

  #leave(slot: number, agentId: string): void {
    const agent = this.agentAt(slot);
    // Orders find it by its id, so they come first.
    for (const { slots } of this.#orders.values()) slots.delete(slot);
    for (const column of [this.cpu, this.memory, this.vram, ...this.rankedCards]) column.delete(slot);
    this.cards.change(slot, viewOf(agent).room.cards, []);
    this.fitColumns.delete(slot);
    dropBit(this.#open, slot);
    dropBit(this.#attached, slot);
    this.#poolMembers.delete(agent.poolName, slot);
    this.#byStatus.delete(agent.status, slot);
    for (const [key, value] of Object.entries(agent.labels)) this.#labelled.delete(labelKey(key, value), slot);
    this.pools.change(agent, undefined);
    this.#agents[slot] = undefined;
    this.#slots.delete(agentId);
    this.#freeSlots.push(slot);
  }

  #setFigures(slot: number, { room }: AgentView): void {
    this.cpu.set(slot, room.cpu.free);
    this.memory.set(slot, room.memory.free);
    this.vram.set(slot, room.vram.free);
    const largest = largestCardsOf(room.cards);
    this.rankedCards.forEach((column, rank) => column.set(slot, largest[rank] ?? -1));
  }

  #setStates(slot: number, agent: StoredAgent, view: AgentView): void {
    if (isOpenForWork(view)) addBit(this.#open, slot);
    else dropBit(this.#open, slot);
    if (agent.attached) addBit(this.#attached, slot);
    else dropBit(this.#attached, slot);
  }

  #setNames(slot: number, before: StoredAgent | undefined, agent: StoredAgent): void {
    if (before?.poolName !== agent.poolName) {
      if (before !== undefined) this.#poolMembers.delete(before.poolName, slot);
      this.#poolMembers.add(agent.poolName, slot);
    }
    if (before?.status !== agent.status) {
      if (before !== undefined) this.#byStatus.delete(before.status, slot);
      this.#byStatus.add(agent.status, slot);
    }
    if (before?.labels !== agent.labels) {
      for (const [key, value] of Object.entries(before?.labels ?? {}))
        this.#labelled.delete(labelKey(key, value), slot);
      for (const [key, value] of Object.entries(agent.labels)) this.#labelled.add(labelKey(key, value), slot);
    }
    if (before?.sample?.cards !== agent.sample?.cards) {
      this.cards.change(slot, before?.sample?.cards ?? [], agent.sample?.cards ?? []);
    }
  }
}

function labelKey(key: string, value: string): string {
  return JSON.stringify([key, value]);
}
