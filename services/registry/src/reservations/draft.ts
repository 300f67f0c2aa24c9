/**
 * What a group of operations wants to change, on top of the fleet as it is: each operation sees what those before it
 * took. Nothing is promised by it; the store commits it or refuses it.
 */
import type { AgentView, EpochMs } from "@headroom/scheduling";
import { viewOf } from "../fleet/agent-views.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { ReservationCommit, ReservationWrite } from "../store/registry-store.ts";
import type { StoredAgent, StoredReservation } from "../store/stored-agent.ts";

/** An agent with changes. */
interface Drafted {
  readonly base: StoredAgent;
  readonly changes: Map<string, StoredReservation | null>;
  /** The agent with the changes, once somebody has asked for it. */
  made: StoredAgent | null;
}

export class Draft {
  readonly nowMs: EpochMs;
  readonly #fleet: Fleet;
  readonly #drafted = new Map<string, Drafted>();
  readonly #writes = new Map<string, ReservationWrite>();
  /** How to take back each change, the latest last. */
  readonly #undo: (() => void)[] = [];

  constructor(fleet: Fleet, nowMs: EpochMs) {
    this.#fleet = fleet;
    this.nowMs = nowMs;
  }

  agent(agentId: string): StoredAgent | undefined {
    const drafted = this.#drafted.get(agentId);
    return drafted === undefined ? this.#fleet.get(agentId) : this.#made(drafted);
  }

  reservation(attemptId: string): StoredReservation | undefined {
    return this.#writes.get(attemptId)?.reservation ?? this.#fleet.reservation(attemptId);
  }

  /** The agents that the draft changes, as it leaves them. */
  *changedAgents(): Generator<StoredAgent> {
    for (const drafted of this.#drafted.values()) yield this.#made(drafted);
  }

  isChanged(agentId: string): boolean {
    return this.#drafted.has(agentId);
  }

  /** All agents, with the draft's changes. */
  views(): AgentView[] {
    const views: AgentView[] = [];
    for (const { agentId } of this.#fleet.agents()) {
      const agent = this.agent(agentId);
      if (agent !== undefined) views.push(viewOf(agent));
    }
    return views;
  }

  /** The reservation is to stand like this. The agent must be known. */
  put(reservation: StoredReservation): void {
    const { attemptId, agentId } = reservation;
    if (this.#fleet.get(agentId) === undefined) throw new RangeError(`agent ${agentId} is not in the fleet`);
    const previous = this.#fleet.reservation(attemptId) ?? null;
    const drafted = this.reservation(attemptId);
    const isEnded = reservation.state === "released";
    const wasEnded = previous === null || previous.state === "released";
    this.#write({
      reservation,
      leaseMs: reservation.leaseExpiresAtMs === null ? null : Math.max(0, reservation.leaseExpiresAtMs - this.nowMs),
      previousAgentId: previous?.agentId ?? null,
      endsNow: isEnded,
      beginsNow: !isEnded && (wasEnded || previous.agentId !== agentId),
    });
    if (drafted !== undefined && drafted.agentId !== agentId) this.#change(drafted.agentId, attemptId, null);
    this.#change(agentId, attemptId, reservation);
  }

  /** Where the draft stands, to come back to. */
  mark(): () => void {
    const { length } = this.#undo;
    return () => {
      while (this.#undo.length > length) this.#undo.pop()?.();
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

  #write(write: ReservationWrite): void {
    const { attemptId } = write.reservation;
    this.#undo.push(restoring(this.#writes, attemptId));
    this.#writes.set(attemptId, write);
  }

  #change(agentId: string, attemptId: string, reservation: StoredReservation | null): void {
    const base = this.#fleet.get(agentId);
    // Removed from the fleet with all its reservations: nothing is left there to change.
    if (base === undefined) return;
    const known = this.#drafted.get(agentId);
    const drafted = known ?? { base, changes: new Map<string, StoredReservation | null>(), made: null };
    if (known === undefined) this.#undo.push(restoring(this.#drafted, agentId));
    const restore = restoring(drafted.changes, attemptId);
    this.#undo.push(() => {
      restore();
      drafted.made = null;
    });
    drafted.changes.set(attemptId, reservation);
    drafted.made = null;
    this.#drafted.set(agentId, drafted);
  }

  #made(drafted: Drafted): StoredAgent {
    const { base, changes } = drafted;
    drafted.made ??= { ...base, reservations: base.reservations.with(changes, this.nowMs) };
    return drafted.made;
  }
}

/** How to bring an entry of a map back to what it is now. */
function restoring<Value>(map: Map<string, Value>, key: string): () => void {
  const value = map.get(key);
  return value === undefined ? () => void map.delete(key) : () => void map.set(key, value);
}
