/**
 * The fleet in memory: what every query reads. It holds what the store holds plus what beats said since the last write.
 * Records are replaced, never changed; each replacement counts the revision up and is told to listeners at once.
 */
import type { EpochMs } from "@headroom/scheduling";
import type { StoredAgent, StoredReservation } from "../store/stored-agent.ts";

/** A point in the history of the fleet as this process tells it. */
export interface FleetRevision {
  readonly registryInstance: string;
  readonly counter: number;
}

export interface FleetChange {
  readonly agentId: string;
  /** Null: the agent is new. */
  readonly before: StoredAgent | null;
  /** Null: the agent has left. */
  readonly after: StoredAgent | null;
}

/** Called within each change: it must be quick, and must not change the fleet. */
export type FleetListener = (change: FleetChange) => void;

export class Fleet {
  readonly #instance: string;
  readonly #agents = new Map<string, StoredAgent>();
  /** Attempt id to agent id, tombstones included. */
  readonly #attempts = new Map<string, string>();
  /** When leases end, of the attempts that have one. */
  readonly #leases = new Map<string, EpochMs>();
  /** No lease ends before this; so most questions after due leases cost nothing. */
  #leasesEndFromMs: EpochMs = Number.POSITIVE_INFINITY;
  readonly #listeners = new Set<FleetListener>();
  #counter = 0;

  constructor(instance: string) {
    this.#instance = instance;
  }

  get size(): number {
    return this.#agents.size;
  }

  get revision(): FleetRevision {
    return { registryInstance: this.#instance, counter: this.#counter };
  }

  get(agentId: string): StoredAgent | undefined {
    return this.#agents.get(agentId);
  }

  agents(): IterableIterator<StoredAgent> {
    return this.#agents.values();
  }

  /** The reservation of an attempt, a tombstone perhaps. */
  reservation(attemptId: string): StoredReservation | undefined {
    const agentId = this.#attempts.get(attemptId);
    return agentId === undefined ? undefined : this.#agents.get(agentId)?.reservations.get(attemptId);
  }

  /** Whether some lease has run out by this time. */
  hasLeaseDue(nowMs: EpochMs): boolean {
    if (nowMs < this.#leasesEndFromMs) return false;
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const expiresAtMs of this.#leases.values()) earliestMs = Math.min(earliestMs, expiresAtMs);
    this.#leasesEndFromMs = earliestMs;
    return earliestMs <= nowMs;
  }

  put(agent: StoredAgent): void {
    const before = this.#agents.get(agent.agentId) ?? null;
    if (before === agent) return;
    this.#agents.set(agent.agentId, agent);
    if (before?.reservations !== agent.reservations) this.#index(before, agent);
    this.#changed({ agentId: agent.agentId, before, after: agent });
  }

  remove(agentId: string): void {
    const before = this.#agents.get(agentId);
    if (before === undefined) return;
    this.#agents.delete(agentId);
    this.#index(before, null);
    this.#changed({ agentId, before, after: null });
  }

  /** Answers how to unsubscribe. */
  onChange(listener: FleetListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #changed(change: FleetChange): void {
    this.#counter += 1;
    for (const listener of this.#listeners) listener(change);
  }

  #index(before: StoredAgent | null, after: StoredAgent | null): void {
    for (const attemptId of changedAttempts(before, after)) {
      const reservation = after?.reservations.get(attemptId);
      if (reservation !== undefined) this.#note(reservation);
      // The attempt may have moved to another agent meanwhile, whose entry must stay.
      else if (this.#attempts.get(attemptId) === before?.agentId) {
        this.#attempts.delete(attemptId);
        this.#leases.delete(attemptId);
      }
    }
  }

  #note({ attemptId, agentId, leaseExpiresAtMs }: StoredReservation): void {
    this.#attempts.set(attemptId, agentId);
    if (leaseExpiresAtMs === null) this.#leases.delete(attemptId);
    else {
      this.#leases.set(attemptId, leaseExpiresAtMs);
      this.#leasesEndFromMs = Math.min(this.#leasesEndFromMs, leaseExpiresAtMs);
    }
  }
}

/** Those whose reservation may differ: what a commit has changed, or all after a load. */
function changedAttempts(before: StoredAgent | null, after: StoredAgent | null): Iterable<string> {
  const known = before === null ? null : after?.reservations.changesSince(before.reservations);
  if (known) return known;
  const rows = [...(before?.reservations.values() ?? []), ...(after?.reservations.values() ?? [])];
  return new Set(rows.map(({ attemptId }) => attemptId));
}
