/** Reservations are committed behind the guards of their agents. */
import type { StoredReservation } from "@headroom/registry";
import { expect, it } from "vitest";
import { insertOf, reservationOf, type RegistryDesk, sampleOf } from "./fixtures.ts";

export function reservationsConformance(desk: RegistryDesk): void {
  const { admit, load } = desk;

  it("commits a reservation with the store's own times and moves the guard by one", async () => {
    const { agentId } = await admit();
    const reservation = reservationOf(agentId);
    const outcome = await desk.store.commitReservations(insertOf(reservation, 0));
    if (outcome.kind !== "committed") throw new Error("a conflict out of nowhere");
    const [written] = outcome.reservations;
    expect(written!.leaseExpiresAtMs! - outcome.nowMs).toBeGreaterThan(29_000);
    expect(written!.leaseExpiresAtMs! - outcome.nowMs).toBeLessThan(31_000);
    const after = await load(agentId);
    expect(after.guardVersion).toBe(1);
    expect(after.reservations.get(reservation.attemptId)).toEqual(written);
  });

  it("changes nothing when one guard of several has moved", async () => {
    const [one, two] = [await admit(), await admit()];
    await desk.store.commitReservations(insertOf(reservationOf(two.agentId), 0));
    const writes = [insertOf(reservationOf(one.agentId), 0), insertOf(reservationOf(two.agentId), 0)];
    const outcome = await desk.store.commitReservations({
      guards: writes.flatMap((commit) => commit.guards),
      writes: writes.flatMap((commit) => commit.writes),
    });
    expect(outcome).toMatchObject({ kind: "conflict", agentIds: [two.agentId] });
    expect(await load(one.agentId)).toMatchObject({ guardVersion: 0 });
    expect((await load(one.agentId)).reservations.size).toBe(0);
  });

  it("changes nothing when the attempt is reserved on another agent already", async () => {
    const [one, two] = [await admit(), await admit()];
    const reservation = reservationOf(one.agentId);
    await desk.store.commitReservations(insertOf(reservation, 0));
    const outcome = await desk.store.commitReservations(insertOf({ ...reservation, agentId: two.agentId }, 0));
    expect(outcome).toMatchObject({ kind: "conflict", attemptIds: [reservation.attemptId] });
    expect(await load(two.agentId)).toMatchObject({ guardVersion: 0 });
    expect(await desk.store.findReservations([reservation.attemptId])).toEqual(
      new Map([[reservation.attemptId, one.agentId]]),
    );
  });

  it("of concurrent commits on one guard exactly one wins", async () => {
    const { agentId } = await admit();
    const commits = Array.from({ length: 8 }, () => insertOf(reservationOf(agentId), 0));
    const outcomes = await Promise.all(
      commits.map((commit, index) => (index % 2 === 0 ? desk.store : desk.second).commitReservations(commit)),
    );
    expect(outcomes.filter(({ kind }) => kind === "committed")).toHaveLength(1);
    expect(await load(agentId)).toMatchObject({ guardVersion: 1 });
  });

  it("commits on the same agents in any order do not deadlock", async () => {
    const agents = await Promise.all(Array.from({ length: 6 }, () => admit()));
    const rounds = Array.from({ length: 12 }, async (_, round) => {
      const order = round % 2 === 0 ? agents : agents.toReversed();
      const parts = order.map(({ agentId }) => insertOf(reservationOf(agentId), 0));
      return desk.store.commitReservations({
        guards: parts.flatMap((part) => part.guards),
        writes: parts.flatMap((part) => part.writes),
      });
    });
    const outcomes = await Promise.all(rounds);
    expect(outcomes.filter(({ kind }) => kind === "committed")).toHaveLength(1);
  });

  it("ends a reservation, keeps it as a tombstone and lets it go when it is old", async () => {
    const { agentId } = await admit();
    const reservation = reservationOf(agentId);
    await desk.store.commitReservations(insertOf(reservation, 0));
    const ended: StoredReservation = { ...reservation, state: "released", leaseExpiresAtMs: null, releasedAtMs: 5 };
    const outcome = await desk.store.commitReservations({
      guards: [{ agentId, version: 1 }],
      writes: [{ reservation: ended, leaseMs: null, previousAgentId: agentId, endsNow: true, beginsNow: false }],
    });
    if (outcome.kind !== "committed") throw new Error("a conflict out of nowhere");
    expect(outcome.reservations[0]!.releasedAtMs).toBe(outcome.nowMs);
    expect((await load(agentId)).reservations.get(reservation.attemptId)?.state).toBe("released");
    await desk.store.purgeTombstones(60_000, 1_000);
    expect((await load(agentId)).reservations.size).toBe(1);
    await desk.store.purgeTombstones(-1_000, 1_000);
    expect((await load(agentId)).reservations.size).toBe(0);
  });

  it("loads an agent with very many reservations whole and once, with its sample", async () => {
    const { agentId, epoch } = await admit();
    const rows = Array.from({ length: 2_500 }, () => reservationOf(agentId));
    const commit = { guards: [{ agentId, version: 0 }], writes: rows.flatMap((row) => insertOf(row, 0).writes) };
    const outcome = await desk.store.commitReservations(commit);
    if (outcome.kind !== "committed") throw new Error("a conflict out of nowhere");
    const sample = sampleOf();
    await desk.store.writeBeats([{ agentId, epoch, silentMs: 0, sample }]);
    const written = new Map(outcome.reservations.map((row) => [row.attemptId, row]));
    const { agents: followed } = await desk.store.loadChangedSince(outcome.nowMs - 60_000);
    const { agents: whole } = await desk.store.loadFleet(null);
    for (const agents of [[await load(agentId)], followed, whole]) {
      const found = agents.filter((agent) => agent.agentId === agentId);
      expect(found.map((agent) => agent.sample)).toEqual([sample]);
      expect(new Map([...found[0]!.reservations.values()].map((row) => [row.attemptId, row]))).toEqual(written);
    }
  });

  it("finds leases that have run out by its own clock, and only those", async () => {
    const { agentId } = await admit();
    const [due, later] = [reservationOf(agentId), reservationOf(agentId)];
    await desk.store.commitReservations(insertOf(due, 0, 0));
    await desk.store.commitReservations(insertOf(later, 1, 60_000));
    const ids = (await desk.store.findDueLeases(1_000)).due.map(({ attemptId }) => attemptId);
    expect(ids).toContain(due.attemptId);
    expect(ids).not.toContain(later.attemptId);
  });
}
