/**
 * The founding rule: work pauses when *every* online agent is below the threshold.
 *
 * An agent is below when free / min(total, offer) is strictly under the threshold on CPU, or on VRAM summed over its
 * cards. Asked about a task, only what the task uses is judged: CPU always, VRAM if it asks for a GPU (an agent without
 * one then has nothing to give). Asked about nothing, all that the agent has. Nothing to give (no metrics, a total of
 * zero) is below whatever the threshold. The gate is fleet-wide: once open, any online agent may be used.
 */
import type { AgentView } from "./agent-view.ts";
import { freePercent, GateSums, isBelow } from "./gate-sums.ts";
import type { DimensionRoom } from "./capacity.ts";
import { needsGpu, type Needs } from "./needs.ts";

/** The founding documents' default, a fraction. */
export const DEFAULT_PAUSE_THRESHOLD = 0.2;

export interface GateFigure {
  readonly free: number;
  /** min(total, offer). */
  readonly ceiling: number;
}

export interface GateAgent {
  readonly agentId: string;
  readonly online: boolean;
  /** Null: no metrics yet, which counts as zero. */
  readonly cpu: GateFigure | null;
  /** Summed over its cards; null: it has none. */
  readonly vram: GateFigure | null;
}

export interface GateQuestion {
  readonly agents: readonly GateAgent[];
  /** A fraction, 0..1. */
  readonly threshold: number;
  /** Null asks about nothing in particular. */
  readonly task: Pick<Needs, "gpuCount"> | null;
}

export interface GateAgentVerdict {
  readonly agentId: string;
  /** 0..100. */
  readonly cpuFreePercent: number;
  /** 0..100; null: it has no GPU. */
  readonly gpuFreePercent: number | null;
  readonly below: boolean;
  readonly belowOn: readonly ("cpu" | "gpu")[];
}

/** What a verdict says of the fleet as a whole. */
export interface GateSummary {
  readonly pause: boolean;
  readonly reason: "FLEET_BELOW_THRESHOLD" | "NO_AGENT_ONLINE" | null;
  readonly threshold: number;
  readonly agentsOnline: number;
  readonly agentsBelow: number;
  /** Mean over the online agents, 0..100; 0 when there is none. */
  readonly averageCpuFreePercent: number;
  /** Mean over the online agents that have a GPU, 0..100; null when none has. */
  readonly averageGpuFreePercent: number | null;
}

export interface GateVerdict extends GateSummary {
  /** Online agents only. */
  readonly perAgent: readonly GateAgentVerdict[];
}

export function shouldPause(question: GateQuestion): GateVerdict {
  const { agents, threshold, task } = question;
  const sums = new GateSums(threshold);
  for (const agent of agents) sums.add(agent);
  const perAgent = agents.filter((agent) => agent.online).map((agent) => judgeAgent(agent, threshold, task));
  return { ...sums.verdict(task), perAgent };
}

/** What the gate needs to know of an agent. Cordoned and held agents are online, and count. */
export function gateAgent(view: AgentView): GateAgent {
  const { room } = view;
  return {
    agentId: view.agentId,
    online: view.status === "online",
    cpu: room.sampled ? figure(room.cpu) : null,
    vram: room.cards.length > 0 ? figure(room.vram) : null,
  };
}

function figure(room: DimensionRoom): GateFigure {
  return { free: room.free, ceiling: room.ceiling };
}

function judgeAgent(agent: GateAgent, threshold: number, task: GateQuestion["task"]): GateAgentVerdict {
  const judgesGpu = task === null ? agent.vram !== null : needsGpu(task);
  const belowOn: ("cpu" | "gpu")[] = [];
  if (isBelow(agent.cpu, threshold)) belowOn.push("cpu");
  if (judgesGpu && isBelow(agent.vram, threshold)) belowOn.push("gpu");
  return {
    agentId: agent.agentId,
    cpuFreePercent: freePercent(agent.cpu),
    gpuFreePercent: agent.vram === null ? null : freePercent(agent.vram),
    below: belowOn.length > 0,
    belowOn,
  };
}
