/** The agents that the watch has told of, with what questions about all of them need, so that these need not look at each. */
import { type AgentCapacityFigures, gateAgentFromFigures } from "@headroom/contracts";
import {
  fleetRoomBound,
  type GateAgent,
  type GateQuestion,
  GateSums,
  type GateSummary,
  type Needs,
  type RoomFigures,
} from "@headroom/scheduling";

interface Watched {
  readonly figures: AgentCapacityFigures;
  readonly room: RoomFigures;
  /** Null: no desktop, and none of the gate's business. */
  readonly gate: GateAgent | null;
}

/** The agents that take work, and the most that one of them has. */
interface OpenRoom {
  readonly agents: readonly RoomFigures[];
  readonly cpuMillicores: number;
  readonly memoryMib: number;
  /** On one card; -1: nobody has a card. */
  readonly cardMib: number;
}

export class WatchedAgents {
  readonly #threshold: number;
  readonly #agents = new Map<string, Watched>();
  #sums: GateSums;
  /** Null: to be gathered when the next question comes. */
  #open: OpenRoom | null = null;

  /** `threshold`: of the gate, a fraction. */
  constructor(threshold: number) {
    this.#threshold = threshold;
    this.#sums = new GateSums(threshold);
  }

  get size(): number {
    return this.#agents.size;
  }

  put(figures: AgentCapacityFigures): void {
    const before = this.#agents.get(figures.agentId)?.gate ?? null;
    if (before !== null) this.#sums.drop(before);
    const gate = figures.agentType === "desktop" ? gateAgentFromFigures(figures) : null;
    if (gate !== null) this.#sums.add(gate);
    this.#agents.set(figures.agentId, { figures, room: roomFigures(figures), gate });
    this.#open = null;
  }

  delete(agentId: string): void {
    const known = this.#agents.get(agentId);
    if (known === undefined) return;
    if (known.gate !== null) this.#sums.drop(known.gate);
    this.#agents.delete(agentId);
    this.#open = null;
  }

  clear(): void {
    this.#agents.clear();
    this.#sums = new GateSums(this.#threshold);
    this.#open = null;
  }

  get(agentId: string): AgentCapacityFigures | undefined {
    return this.#agents.get(agentId)?.figures;
  }

  gateAgents(): readonly GateAgent[] {
    return [...this.#agents.values()].flatMap(({ gate }) => gate ?? []);
  }

  verdict(task: GateQuestion["task"]): GateSummary {
    return this.#sums.verdict(task);
  }

  /** How many tasks with these needs there may be room for, at most `limit`: an upper bound. */
  roomFor(needs: Needs, limit: number, isMeant: (agentId: string) => boolean): number {
    this.#open ??= openRoom(this.#agents.values());
    const { agents, cpuMillicores, memoryMib, cardMib } = this.#open;
    // In a full fleet most questions end here.
    if (cpuMillicores < needs.cpuMillicores || memoryMib < needs.memoryMib) return 0;
    if (needs.gpuCount > 0 && cardMib < needs.gpuVramMib) return 0;
    return fleetRoomBound(filtered(agents, isMeant), needs, limit);
  }
}

function* filtered(agents: readonly RoomFigures[], isMeant: (agentId: string) => boolean): Generator<RoomFigures> {
  for (const agent of agents) if (isMeant(agent.agentId)) yield agent;
}

function openRoom(watched: Iterable<Watched>): OpenRoom {
  const agents: RoomFigures[] = [];
  let [cpuMillicores, memoryMib, cardMib] = [-1, -1, -1];
  for (const { room } of watched) {
    if (!room.takesWork) continue;
    agents.push(room);
    cpuMillicores = Math.max(cpuMillicores, room.cpuFreeMillicores);
    memoryMib = Math.max(memoryMib, room.memoryFreeMib);
    for (const { vramFreeMib } of room.cards) cardMib = Math.max(cardMib, vramFreeMib);
  }
  return { agents, cpuMillicores, memoryMib, cardMib };
}

function roomFigures(agent: AgentCapacityFigures): RoomFigures {
  const isKept = agent.cordoned || agent.draining || agent.ownerHold;
  return {
    agentId: agent.agentId,
    poolName: agent.poolName,
    labels: agent.labels,
    takesWork: agent.agentType === "desktop" && agent.status === "online" && agent.attached && !isKept,
    cpuFreeMillicores: agent.cpu.free,
    memoryFreeMib: agent.memory.free,
    cards: agent.cards,
  };
}
