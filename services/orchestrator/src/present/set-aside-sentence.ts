/** Of a task that fits on agents which it must not be given now, each of them: whom they are kept for, or that they did not take what was sent. */
import type { wire } from "@headroom/contracts";
import type { RoomHold } from "@headroom/scheduling";

export interface SetAside {
  /** Agents that are kept for others, and that the task may not use meanwhile. */
  readonly kept: readonly RoomHold[];
  /** Agents to which a delivery has failed a moment ago, each with the time until it may be used again. */
  readonly avoided: ReadonlyMap<string, number>;
}

export const nothingSetAside: SetAside = { kept: [], avoided: new Map() };

/** What stands between the task and all the room that there is for it. */
export interface InTheWay {
  readonly sentence: string;
  /** What somebody could do about it; empty: nothing but waiting. */
  readonly wayOut: string;
  /** Until the first of the agents may be used, at the latest. */
  readonly endsInMs: number;
}

/** So many agents are named one by one. */
const named = 3;

/** How many agents have to be listed to see one on which it fits and that is not set aside. */
export function agentsToList({ kept, avoided }: SetAside): number {
  return kept.length + avoided.size + 1;
}

/** Null: it fits nowhere, or also where nothing is in the way. `agents`: nearest first, at least `agentsToList` of them. */
export function setAside(agents: readonly wire.AgentVerdict[], { kept, avoided }: SetAside): InTheWay | null {
  const fitting = agents.filter(({ fits }) => fits).map(({ agentId }) => agentId);
  const holds = new Map(kept.map((hold) => [hold.agentId, hold]));
  if (fitting.length === 0 || fitting.some((agentId) => !holds.has(agentId) && !avoided.has(agentId))) return null;
  const reasons = fitting.map((agentId) => {
    const hold = holds.get(agentId);
    if (hold === undefined)
      return `agent ${short(agentId)} did not take what was sent to it, and is left out for a moment`;
    return `agent ${short(agentId)} is kept for task ${short(hold.taskId)}, for ${seconds(hold.leftMs)} at most`;
  });
  const others = reasons.length > named ? `; ${reasons.length - named} more likewise` : "";
  const ends = fitting.map((agentId) => holds.get(agentId)?.leftMs ?? avoided.get(agentId) ?? 0);
  const first = kept.find(({ agentId }) => fitting.includes(agentId));
  return {
    sentence: `There is room for it, but ${reasons.slice(0, named).join("; ")}${others}.`,
    wayOut: first === undefined ? "" : `task ${short(first.taskId)} has to start, or be cancelled`,
    endsInMs: Math.max(0, Math.min(...ends)),
  };
}

function short(id: string): string {
  return id.slice(0, 8);
}

function seconds(ms: number): string {
  return `${Math.max(1, Math.round(ms / 1_000))} s`;
}
