/** Sums by pool, kept up with each change instead of counted over the fleet at each question (R-CAP-9). */
import { type AgentView, isOpenForWork } from "@headroom/scheduling";
import type { StoredAgent } from "../../store/stored-agent.ts";
import { viewOf } from "../agent-views.ts";

/** Sums over the desktops of a pool, in millicores and MiB. */
export interface PoolTotal {
  readonly poolName: string;
  readonly agentsOnline: number;
  readonly agentsTotal: number;
  readonly cpuFree: number;
  readonly cpuTotal: number;
  readonly memoryFree: number;
  readonly memoryTotal: number;
  readonly vramFree: number;
  readonly vramTotal: number;
  readonly largestCardFree: number;
}

type Sums = { -readonly [K in Exclude<keyof PoolTotal, "poolName" | "largestCardFree">]: number };

interface Pool {
  readonly sums: Sums;
  /** How many agents have this as the most that is free on one of their cards. */
  readonly largestCards: Map<number, number>;
}

export class PoolTotals {
  readonly #pools = new Map<string, Pool>();

  change(before: StoredAgent | undefined, after: StoredAgent | undefined): void {
    if (before?.agentType === "desktop") this.#count(viewOf(before), -1);
    if (after?.agentType === "desktop") this.#count(viewOf(after), 1);
  }

  /** Pools that have a desktop. */
  all(): readonly PoolTotal[] {
    return [...this.#pools].map(([poolName, { sums, largestCards }]) => {
      let largestCardFree = 0;
      for (const free of largestCards.keys()) largestCardFree = Math.max(largestCardFree, free);
      return { poolName, ...sums, largestCardFree };
    });
  }

  #count(view: AgentView, sign: 1 | -1): void {
    const pool = this.#pool(view.poolName);
    const { sums } = pool;
    sums.agentsTotal += sign;
    if (view.status === "online") {
      const { cpu, memory, vram } = view.room;
      sums.agentsOnline += sign;
      sums.cpuTotal += sign * cpu.total;
      sums.memoryTotal += sign * memory.total;
      sums.vramTotal += sign * vram.total;
      // Nothing can be placed on an agent that is set aside, so what it has free is not available.
      if (isOpenForWork(view)) countOpen(pool, view, sign);
    }
    if (sums.agentsTotal === 0) this.#pools.delete(view.poolName);
  }

  #pool(poolName: string): Pool {
    const known = this.#pools.get(poolName);
    if (known !== undefined) return known;
    const pool: Pool = { sums: { ...NOTHING }, largestCards: new Map() };
    this.#pools.set(poolName, pool);
    return pool;
  }
}

const NOTHING: Sums = {
  agentsOnline: 0,
  agentsTotal: 0,
  cpuFree: 0,
  cpuTotal: 0,
  memoryFree: 0,
  memoryTotal: 0,
  vramFree: 0,
  vramTotal: 0,
};

function countOpen({ sums, largestCards }: Pool, { room }: AgentView, sign: 1 | -1): void {
  sums.cpuFree += sign * room.cpu.free;
  sums.memoryFree += sign * room.memory.free;
  sums.vramFree += sign * room.vram.free;
  const largest = room.cards.reduce((most, card) => Math.max(most, card.free), 0);
  const count = (largestCards.get(largest) ?? 0) + sign;
  if (count === 0) largestCards.delete(largest);
  else largestCards.set(largest, count);
}
