/** The filter of `ListAvailableCapacity` (R-CAP-3, R-CAP-4, R-CAP-5): which agents have at least so much free. */
import type { AgentView } from "./agent-view.ts";

/** Minima and maxima of what is free; a missing bound asks nothing. */
export interface AvailabilityFilter {
  readonly minCpuMillicores?: number;
  readonly maxCpuMillicores?: number;
  readonly minMemoryMib?: number;
  readonly maxMemoryMib?: number;
  /** Summed over the cards. */
  readonly minVramMib?: number;
  readonly maxVramMib?: number;
  /** On one card at least. */
  readonly minVramPerCardMib?: number;
}

/** Online desktops that neither an operator, nor their owner, nor a probation keeps from work. */
export function isOpenForWork(view: AgentView): boolean {
  const { agentType, status, cordoned, draining, ownerHold, onProbation } = view;
  const isKept = cordoned || draining || ownerHold || onProbation === true;
  return agentType === "desktop" && status === "online" && !isKept;
}

/** Whether what is free lies within all the bounds. An agent without metrics has zero of everything. */
export function isWithin(view: AgentView, filter: AvailabilityFilter): boolean {
  const { cpu, memory, vram, cards } = view.room;
  const largestCardMib = cards.reduce((largest, card) => Math.max(largest, card.free), 0);
  return (
    isBetween(cpu.free, filter.minCpuMillicores, filter.maxCpuMillicores) &&
    isBetween(memory.free, filter.minMemoryMib, filter.maxMemoryMib) &&
    isBetween(vram.free, filter.minVramMib, filter.maxVramMib) &&
    isBetween(largestCardMib, filter.minVramPerCardMib, undefined)
  );
}

function isBetween(value: number, min: number | undefined, max: number | undefined): boolean {
  return (min === undefined || value >= min) && (max === undefined || value <= max);
}
