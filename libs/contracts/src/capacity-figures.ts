/** What readers of the registry (the gate, planners, the CLI) take from a capacity answer. */
import type { AgentStatus, AgentType, EpochMs, GateAgent, Mib, Millicores } from "@headroom/scheduling";
import { agentStatusWire, agentTypeWire } from "./enums.ts";
import { ok, type FromWire } from "./from-wire.ts";
import type { AgentCapacity, GpuCapacity } from "./gen/headroom/registry/v1/capacity.ts";
import { msFromTimestamp } from "./time.ts";
import { mibFromGb, millicoresFromCores } from "./units.ts";

/** One dimension as the registry told it. */
export interface CapacityFigure {
  readonly total: number;
  /** min(total, what the owner offers). */
  readonly ceiling: number;
  readonly free: number;
}

export interface CardFigures {
  readonly cardId: string;
  readonly index: number;
  readonly model: string;
  readonly vramTotalMib: Mib;
  readonly vramFreeMib: Mib;
  readonly exclusive: boolean;
}

/** One agent as a capacity answer told it, in the units used inside. */
export interface AgentCapacityFigures {
  readonly agentId: string;
  readonly hostname: string;
  readonly status: AgentStatus;
  readonly agentType: AgentType;
  readonly poolName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly attached: boolean;
  readonly cordoned: boolean;
  readonly draining: boolean;
  readonly ownerHold: boolean;
  readonly onProbation: boolean;
  /** Null: it has sent no metrics yet, and all figures are zero. */
  readonly sampledAtMs: EpochMs | null;
  /** Millicores. */
  readonly cpu: CapacityFigure;
  readonly cpuReservedMillicores: Millicores;
  /** MiB. */
  readonly memory: CapacityFigure;
  /** MiB, sums over the cards. */
  readonly vram: CapacityFigure;
  readonly cards: readonly CardFigures[];
  readonly reservations: number;
  readonly expectedAvailableAtMs: EpochMs | null;
}

/** Never throws, and refuses no figure: one agent's must not make the whole fleet unknown to those who read of it. */
export function agentCapacityFromWire(capacity: AgentCapacity, path = "agent"): FromWire<AgentCapacityFigures> {
  const status = agentStatusWire.fromWire(capacity.status, `${path}.status`);
  if (status.kind === "invalid") return status;
  const agentType = agentTypeWire.fromWire(capacity.agentType, `${path}.agent_type`);
  if (agentType.kind === "invalid") return agentType;
  const { offered } = capacity;
  return ok({
    agentId: capacity.agentId,
    hostname: capacity.hostname,
    status: status.value,
    agentType: agentType.value,
    poolName: capacity.poolName,
    labels: capacity.labels,
    attached: capacity.attached,
    cordoned: capacity.cordoned,
    draining: capacity.draining,
    ownerHold: capacity.ownerHold,
    onProbation: capacity.onProbation,
    sampledAtMs: msFromTimestamp(capacity.timestamp),
    cpu: figure(millicoresFromCores, capacity.cpuCoresPhysical, offered?.cpuCores, capacity.cpuCoresAvailable),
    cpuReservedMillicores: millicoresFromCores(capacity.reserved?.cpuCores ?? 0),
    memory: figure(mibFromGb, capacity.memoryTotalGb, offered?.memoryGb, capacity.memoryAvailableGb),
    vram: figure(mibFromGb, capacity.gpuVramTotalGb, offered?.gpuVramGb, capacity.gpuVramAvailableGb),
    cards: capacity.gpus.map(cardFigures),
    reservations: capacity.reserved?.reservations ?? 0,
    expectedAvailableAtMs: msFromTimestamp(capacity.expectedAvailableAt),
  });
}

/** What the gate asks of an agent; the same as scheduling's `gateAgent` makes of the registry's own view. */
export function gateAgentFromFigures(figures: AgentCapacityFigures): GateAgent {
  return {
    agentId: figures.agentId,
    online: figures.status === "online",
    cpu: figures.sampledAtMs === null ? null : gateFigure(figures.cpu),
    vram: figures.cards.length === 0 ? null : gateFigure(figures.vram),
  };
}

function gateFigure({ free, ceiling }: CapacityFigure): { readonly free: number; readonly ceiling: number } {
  return { free, ceiling };
}

function figure(
  convert: (amount: number) => number,
  total: number,
  offered: number | undefined,
  available: number,
): CapacityFigure {
  const totalUnits = convert(total);
  const ceiling = offered === undefined ? totalUnits : Math.min(totalUnits, convert(offered));
  return { total: totalUnits, ceiling, free: convert(available) };
}

function cardFigures(card: GpuCapacity): CardFigures {
  return {
    cardId: card.cardId,
    index: card.index,
    model: card.model,
    vramTotalMib: mibFromGb(card.vramTotalGb),
    vramFreeMib: mibFromGb(card.vramAvailableGb),
    exclusive: card.exclusive,
  };
}
