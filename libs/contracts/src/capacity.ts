/** An agent's room as every capacity answer shows it: "available" is `free`, and the raw measurement stands beside it. */
import type { AgentView, CardRoom, EpochMs } from "@headroom/scheduling";
import { agentStatusWire, agentTypeWire } from "./enums.ts";
import {
  AgentCapacity,
  type GpuCapacity,
  type MeasuredCapacity,
  type OfferedCapacity,
  type ReservedCapacity,
} from "./gen/headroom/registry/v1/capacity.ts";
import { GetAgentCapacityResponse } from "./gen/headroom/registry/v1/capacity_service.ts";
import { timestampFromMsOrNull } from "./time.ts";
import { coresFromMillicores, gbFromMib } from "./units.ts";

/** What an answer shows and no decision needs. */
export interface CapacityExtras {
  readonly hostname: string;
  /** When more room is expected there; null: unknown. */
  readonly expectedAvailableAtMs: EpochMs | null;
  /** When what still runs on an agent that is drained is to be stopped; absent or null: never. */
  readonly drainDeadlineMs?: EpochMs | null;
  /** Attempts that outlast that deadline. */
  readonly evictAttemptIds?: readonly string[];
}

/** The capacity of one agent; zeros as long as it has sent no sample (R-CAP-3). */
export function agentCapacityToWire(view: AgentView, extras: CapacityExtras): AgentCapacity {
  const { room, sample } = view;
  const cards = room.cards.toSorted((a, b) => a.index - b.index);
  return AgentCapacity.fromPartial({
    agentId: view.agentId,
    status: agentStatusWire.toWire(view.status),
    cpuCoresAvailable: coresFromMillicores(room.cpu.free),
    cpuCoresPhysical: coresFromMillicores(room.cpu.total),
    cpuLoad: sample?.cpuLoadPercent ?? 0,
    memoryAvailableGb: gbFromMib(room.memory.free),
    memoryTotalGb: gbFromMib(room.memory.total),
    gpuVramAvailableGb: gbFromMib(room.vram.free),
    gpuVramTotalGb: gbFromMib(room.vram.total),
    gpuType: [...new Set(cards.map((card) => card.model))].join(", "),
    timestamp: timestampFromMsOrNull(sample?.sampledAtMs ?? null),
    agentType: agentTypeWire.toWire(view.agentType),
    poolName: view.poolName,
    gpus: cards.map((card) => gpuToWire(card, view)),
    measured: measuredToWire(view),
    offered: offeredToWire(view),
    reserved: reservedToWire(view),
    labels: { ...view.labels },
    hostname: extras.hostname,
    cordoned: view.cordoned,
    draining: view.draining,
    ownerHold: view.ownerHold,
    attached: view.attached,
    declared: declaredDimensions(view),
    expectedAvailableAt: timestampFromMsOrNull(extras.expectedAvailableAtMs),
    onProbation: view.onProbation === true,
    drainDeadline: timestampFromMsOrNull(extras.drainDeadlineMs ?? null),
    evictAttemptIds: [...(extras.evictAttemptIds ?? [])],
  });
}

/** The same figures as an answer of its own (R-CAP-7). */
export function getAgentCapacityResponse(capacity: AgentCapacity): GetAgentCapacityResponse {
  // Both messages have the same fields, which the compiler checks here and a test holds in the descriptors.
  return GetAgentCapacityResponse.fromPartial(capacity);
}

function gpuToWire(card: CardRoom, view: AgentView): GpuCapacity {
  return {
    cardId: card.cardId,
    index: card.index,
    model: card.model,
    vramAvailableGb: gbFromMib(card.free),
    vramTotalGb: gbFromMib(card.total),
    vramMeasuredAvailableGb: gbFromMib(card.available),
    vramReservedGb: gbFromMib(reservedOnCardMib(card, view)),
    exclusive: card.exclusivelyHeld,
    sharedMemory: card.sharedMemory,
    declared: card.declared,
  };
}

function measuredToWire({ room }: AgentView): MeasuredCapacity {
  return {
    cpuCoresAvailable: coresFromMillicores(room.cpu.available),
    memoryAvailableGb: gbFromMib(room.memory.available),
    gpuVramAvailableGb: gbFromMib(room.vram.available),
  };
}

function offeredToWire({ room }: AgentView): OfferedCapacity {
  return {
    cpuCores: coresFromMillicores(room.cpu.ceiling),
    memoryGb: gbFromMib(room.memory.ceiling),
    gpuVramGb: gbFromMib(room.vram.ceiling),
  };
}

function reservedToWire(view: AgentView): ReservedCapacity {
  let cpuMillicores = 0;
  let memoryMib = 0;
  for (const { reserved } of view.reservations) {
    cpuMillicores += reserved.cpuMillicores;
    memoryMib += reserved.memoryMib;
  }
  const vramMib = view.room.cards.reduce((sum, card) => sum + reservedOnCardMib(card, view), 0);
  return {
    cpuCores: coresFromMillicores(cpuMillicores),
    memoryGb: gbFromMib(memoryMib),
    gpuVramGb: gbFromMib(vramMib),
    reservations: view.reservations.length,
  };
}

/** A whole card promised is all of the card, whatever amount the promise names. */
function reservedOnCardMib(card: CardRoom, view: AgentView): number {
  if (card.exclusivelyHeld) return card.ceiling;
  let sumMib = 0;
  for (const { reserved } of view.reservations) {
    for (const amount of reserved.cards) if (amount.cardId === card.cardId) sumMib += amount.vramMib;
  }
  return sumMib;
}

function declaredDimensions({ room }: AgentView): string[] {
  const declared: string[] = [];
  if (room.cpu.declared) declared.push("cpu");
  if (room.memory.declared) declared.push("memory");
  if (room.vram.declared) declared.push("gpu");
  return declared;
}
