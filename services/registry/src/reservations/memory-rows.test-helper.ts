/** The part of the store that the reservation desk uses, in memory: guards, rows, and a clock that tests move. */
import type { CommitResult, RegistryStore, ReservationCommit } from "../store/registry-store.ts";
import { ReservationBook } from "../store/reservation-book.ts";
import type { StoredAgent, StoredReservation } from "../store/stored-agent.ts";

type DeskStore = Pick<RegistryStore, "commitReservations" | "findDueLeases" | "findReservations" | "loadAgents">;

export class MemoryRows implements DeskStore {
  nowMs = 1_000_000;
  readonly #agents = new Map<string, StoredAgent>();

  constructor(agents: readonly StoredAgent[]) {
    for (const agent of agents) this.#agents.set(agent.agentId, agent);
  }

  agents(): readonly StoredAgent[] {
    return [...this.#agents.values()];
  }

  row(attemptId: string): StoredReservation | undefined {
    return this.rows().find((reservation) => reservation.attemptId === attemptId);
  }

  rows(): readonly StoredReservation[] {
    return this.agents().flatMap(({ reservations }) => [...reservations.values()]);
  }

  async commitReservations({ guards, writes }: ReservationCommit): Promise<CommitResult> {
    const agentIds = guards
      .filter(({ agentId, version }) => this.#agents.get(agentId)?.guardVersion !== version)
      .map(({ agentId }) => agentId);
    if (agentIds.length > 0) return { kind: "conflict", agentIds, attemptIds: [] };
    const attemptIds = writes
      .filter(({ reservation, previousAgentId }) => {
        return (this.row(reservation.attemptId)?.agentId ?? null) !== previousAgentId;
      })
      .map(({ reservation }) => reservation.attemptId);
    if (attemptIds.length > 0) return { kind: "conflict", agentIds: [], attemptIds };
    for (const { agentId, version } of guards) this.#change(agentId, version + 1, () => {});
    const reservations = writes.map(({ reservation, leaseMs, previousAgentId, beginsNow, endsNow }) => {
      const row: StoredReservation = {
        ...reservation,
        leaseExpiresAtMs: leaseMs === null ? null : this.nowMs + leaseMs,
        reservedAtMs: beginsNow ? this.nowMs : reservation.reservedAtMs,
        releasedAtMs: endsNow ? this.nowMs : reservation.releasedAtMs,
      };
      if (previousAgentId !== null) this.#change(previousAgentId, null, (rows) => rows.delete(row.attemptId));
      this.#change(row.agentId, null, (rows) => rows.set(row.attemptId, row));
      return row;
    });
    return { kind: "committed", reservations, nowMs: this.nowMs };
  }

  async findDueLeases() {
    const due = this.rows().filter(({ leaseExpiresAtMs }) => (leaseExpiresAtMs ?? Infinity) <= this.nowMs);
    return { due: due.map(({ attemptId, agentId }) => ({ attemptId, agentId })), nowMs: this.nowMs };
  }

  async findReservations(attemptIds: readonly string[]) {
    return new Map(
      attemptIds.flatMap((id) => {
        const row = this.row(id);
        return row === undefined ? [] : [[id, row.agentId] as const];
      }),
    );
  }

  async loadAgents(agentIds: readonly string[]) {
    return { agents: agentIds.flatMap((agentId) => this.#agents.get(agentId) ?? []), nowMs: this.nowMs };
  }

  #change(agentId: string, version: number | null, change: (rows: Map<string, StoredReservation>) => void): void {
    const agent = this.#agents.get(agentId)!;
    const rows = new Map([...agent.reservations.values()].map((row) => [row.attemptId, row]));
    change(rows);
    const reservations = ReservationBook.of(rows.values());
    this.#agents.set(agentId, { ...agent, guardVersion: version ?? agent.guardVersion, reservations });
  }
}
