/**
 * What a group of operations wants to change, on top of the fleet as it is: each operation sees what those before it
 * took. Nothing is promised by it; the store commits it or refuses it.
 */
import type { AgentView, EpochMs } from "@headroom/scheduling";
import { viewOf } from "../fleet/agent-views.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { ReservationCommit, ReservationWrite } from "../store/registry-store.ts";
import type { StoredAgent, StoredReservation } from "../store/stored-agent.ts";

export class Draft {
  readonly nowMs: EpochMs;
  readonly #fleet: Fleet;
  #agents = new Map<string, StoredAgent>();
  /** Reservations that were copied since the last mark, and may be changed in place. */
  #own = new Set<ReadonlyMap<string, StoredReservation>>();
  #writes = new Map<string, ReservationWrite>();

  constructor(fleet: Fleet, nowMs: EpochMs) {
    this.#fleet = fleet;
    this.nowMs = nowMs;
  }

  agent(agentId: string): StoredAgent | undefined {
    return this.#agents.get(agentId) ?? this.#fleet.get(agentId);
  }

  reservation(attemptId: string): StoredReservation | undefined {
    return this.#writes.get(attemptId)?.reservation ?? this.#fleet.reservation(attemptId);
  }

  /** The agents that the draft changes, as it leaves them. */
  changedAgents(): Iterable<StoredAgent> {
    return this.#agents.values();
  }

  isChanged(agentId: string): boolean {
    return this.#agents.has(agentId);
  }

  /** All agents, with the draft's changes. */
  views(): AgentView[] {
    const views: AgentView[] = [];
    for (const agent of this.#fleet.agents()) views.push(viewOf(this.#agents.get(agent.agentId) ?? agent));
    return views;
  }

  /** The reservation is to stand like this. The agent must be known. */
  put(reservation: StoredReservation): void {
    const { attemptId } = reservation;
    const previous = this.#fleet.reservation(attemptId) ?? null;
    const drafted = this.reservation(attemptId);
    const isEnded = reservation.state === "released";
    const wasEnded = previous === null || previous.state === "released";
    const write: ReservationWrite = {
      reservation,
      leaseMs: reservation.leaseExpiresAtMs === null ? null : Math.max(0, reservation.leaseExpiresAtMs - this.nowMs),
      previousAgentId: previous?.agentId ?? null,
      endsNow: isEnded && !wasEnded,
      beginsNow: !isEnded && wasEnded,
    };
    const agent = this.agent(reservation.agentId);
    if (agent === undefined) throw new RangeError(`agent ${reservation.agentId} is not in the fleet`);
    this.#writes.set(attemptId, write);
    if (drafted !== undefined && drafted.agentId !== reservation.agentId) {
      const left = this.agent(drafted.agentId);
      if (left !== undefined) this.#change(left, (all) => all.delete(attemptId));
    }
    this.#change(agent, (all) => all.set(attemptId, reservation));
  }

  /** Where the draft stands, to come back to. */
  mark(): () => void {
    const agents = new Map(this.#agents);
    const writes = new Map(this.#writes);
    this.#own = new Set();
    return () => {
      this.#agents = agents;
      this.#writes = writes;
      this.#own = new Set();
    };
  }

  /** What to commit; null when nothing changes. */
  commit(): ReservationCommit | null {
    if (this.#writes.size === 0) return null;
    const touched = new Set<string>();
    for (const { reservation, previousAgentId } of this.#writes.values()) {
      touched.add(reservation.agentId);
      if (previousAgentId !== null) touched.add(previousAgentId);
    }
    const guards = [...touched].map((agentId) => ({ agentId, version: this.#fleet.get(agentId)?.guardVersion ?? -1 }));
    return { guards, writes: [...this.#writes.values()] };
  }

  #change(agent: StoredAgent, change: (reservations: Map<string, StoredReservation>) => void): void {
    const isOwn = this.#own.has(agent.reservations);
    const reservations = isOwn
      ? (agent.reservations as Map<string, StoredReservation>) // It was made here, three lines below.
      : new Map(agent.reservations);
    this.#own.add(reservations);
    change(reservations);
    this.#agents.set(agent.agentId, { ...agent, reservations });
  }
}
