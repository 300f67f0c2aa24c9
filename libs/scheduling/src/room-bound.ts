/** How many tasks of one kind an agent may have room for, from the figures that a capacity answer shows. Never too few. */
import type { Needs } from "./needs.ts";
import type { Mib, Millicores } from "./resources.ts";

/** What a capacity answer tells of one agent, as far as it matters here. */
export interface RoomFigures {
  readonly agentId: string;
  readonly poolName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Online, attached, and neither cordoned, draining nor held by its owner. */
  readonly takesWork: boolean;
  readonly cpuFreeMillicores: Millicores;
  readonly memoryFreeMib: Mib;
  readonly cards: readonly { readonly model: string; readonly vramFreeMib: Mib; readonly exclusive: boolean }[];
}

/**
 * An upper bound, at most `limit`: `fit` may refuse what this lets through (fragmented cards, memory shared between card and
 * processor), never the other way round. So whoever takes as many waiting tasks as this says leaves no room unused.
 */
export function roomBound(agent: RoomFigures, needs: Needs, limit: number): number {
  if (!agent.takesWork || !isOfKind(agent, needs)) return 0;
  const byCpu = times(agent.cpuFreeMillicores, needs.cpuMillicores);
  const byMemory = times(agent.memoryFreeMib, needs.memoryMib);
  return Math.min(limit, byCpu, byMemory, byCards(agent, needs));
}

/** Over a fleet, stopping at `limit`. */
export function fleetRoomBound(agents: Iterable<RoomFigures>, needs: Needs, limit: number): number {
  let room = 0;
  for (const agent of agents) {
    room += roomBound(agent, needs, limit - room);
    if (room >= limit) return limit;
  }
  return room;
}

function isOfKind(agent: RoomFigures, needs: Needs): boolean {
  if (needs.agentId !== null && needs.agentId !== agent.agentId) return false;
  if (needs.pool !== null && needs.pool !== agent.poolName) return false;
  return Object.entries(needs.labels).every(([key, value]) => agent.labels[key] === value);
}

function byCards(agent: RoomFigures, needs: Needs): number {
  if (needs.gpuCount === 0) return Number.POSITIVE_INFINITY;
  const models = needs.gpuModels.map((model) => model.toLowerCase());
  let slots = 0;
  for (const { model, vramFreeMib, exclusive } of agent.cards) {
    const isWanted = models.length === 0 || models.some((wanted) => model.toLowerCase().includes(wanted));
    if (exclusive || !isWanted || vramFreeMib < needs.gpuVramMib) continue;
    slots += needs.gpuExclusive ? 1 : times(vramFreeMib, needs.gpuVramMib);
  }
  return Math.floor(slots / needs.gpuCount);
}

function times(free: number, needed: number): number {
  return needed <= 0 ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(free / needed));
}
