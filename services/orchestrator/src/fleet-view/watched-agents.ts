/** The agents that the watch has told of, with what questions about all of them need, so that these need not look at each. */
import { type AgentCapacityFigures, gateAgentFromFigures } from "@headroom/contracts";
import {
  type Amounts,
  type GateAgent,
  type GateQuestion,
  GateSums,
  type GateSummary,
  OpenRoom,
  type RoomFigures,
  roomWithout,
} from "@headroom/scheduling";

interface Watched {
  readonly figures: AgentCapacityFigures;
  readonly room: RoomFigures;
  /** The count of `puts` after it. */
  readonly put: number;
  /** Null: no desktop, and none of the gate's business. */
  readonly gate: GateAgent | null;
}

export class WatchedAgents {
  readonly #threshold: number;
  readonly #agents = new Map<string, Watched>();
  #sums: GateSums;
  /** Null: to be gathered when the next question comes. */
  #open: OpenRoom | null = null;
  #puts = 0;
  #machines = 0;

  /** `threshold`: of the gate, a fraction. */
  constructor(threshold: number) {
    this.#threshold = threshold;
    this.#sums = new GateSums(threshold);
  }

  get size(): number {
    return this.#agents.size;
  }

  put(figures: AgentCapacityFigures): void {
    const known = this.#agents.get(figures.agentId);
    const before = known?.gate ?? null;
    if (before !== null) this.#sums.drop(before);
    if (known === undefined || !couldTakeTheSame(known.figures, figures)) this.#machines += 1;
    const gate = figures.agentType === "desktop" ? gateAgentFromFigures(figures) : null;
    if (gate !== null) this.#sums.add(gate);
    this.#puts += 1;
    this.#agents.set(figures.agentId, { figures, room: roomFigures(figures), put: this.#puts, gate });
    this.#open = null;
  }

  /** How many figures have been put so far. */
  get puts(): number {
    return this.#puts;
  }

  /** How many agents have come so far, or have changed in what they could ever take. */
  get machines(): number {
    return this.#machines;
  }

  /**
   * Room on it was promised that was asked for after so many `puts`: figures from before hold it no more than the fleet did then. The gate goes by what
   * was told alone.
   */
  promised(agentId: string, amounts: Amounts, puts: number): void {
    const known = this.#agents.get(agentId);
    if (known === undefined || known.put > puts) return;
    this.#agents.set(agentId, { ...known, room: roomWithout(known.room, amounts) });
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

  takesWork(agentId: string): boolean {
    return this.#agents.get(agentId)?.room.takesWork ?? false;
  }

  gateAgents(): readonly GateAgent[] {
    return [...this.#agents.values()].flatMap(({ gate }) => gate ?? []);
  }

  verdict(task: GateQuestion["task"]): GateSummary {
    return this.#sums.verdict(task);
  }

  /** Where there may be room by what was told and promised since. */
  openRoom(): OpenRoom {
    this.#open ??= new OpenRoom(Array.from(this.#agents.values(), ({ room }) => room));
    return this.#open;
  }
}

function roomFigures(agent: AgentCapacityFigures): RoomFigures {
  const isKept = agent.cordoned || agent.draining || agent.ownerHold || agent.onProbation;
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

/** Whether what the agent is, has and offers is the same, whatever of it is free. */
function couldTakeTheSame(before: AgentCapacityFigures, now: AgentCapacityFigures): boolean {
  return (
    before.agentType === now.agentType &&
    before.poolName === now.poolName &&
    (before.sampledAtMs === null) === (now.sampledAtMs === null) &&
    before.cpu.ceiling === now.cpu.ceiling &&
    before.memory.ceiling === now.memory.ceiling &&
    before.vram.ceiling === now.vram.ceiling &&
    haveSameCards(before.cards, now.cards) &&
    haveSameLabels(before.labels, now.labels)
  );
}

type Cards = AgentCapacityFigures["cards"];

function haveSameCards(before: Cards, now: Cards): boolean {
  const isSame = (card: Cards[number], index: number): boolean => {
    const other = now[index];
    return other?.cardId === card.cardId && other.model === card.model && other.vramTotalMib === card.vramTotalMib;
  };
  return before.length === now.length && before.every(isSame);
}

type Labels = AgentCapacityFigures["labels"];

function haveSameLabels(before: Labels, now: Labels): boolean {
  const entries = Object.entries(before);
  return entries.length === Object.keys(now).length && entries.every(([key, value]) => now[key] === value);
}
