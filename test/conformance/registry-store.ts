/** What every RegistryStore must do, whatever it is built on. Run it on each implementation. */
import type { Admission, RegistryStore, ReservationCommit, StoredReservation } from "@headroom/registry";
import { NO_FLAPS, type Sample } from "@headroom/scheduling";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

export interface StoreUnderTest {
  readonly store: RegistryStore;
  /** Another access to the same data, as another registry process has it. */
  readonly second: RegistryStore;
  close(): Promise<void>;
}

export function sampleOf(overrides: Partial<Sample> = {}): Sample {
  return {
    sampledAtMs: 1_704_067_200_123,
    cpu: { total: 16_000, available: 12_000, offer: 16_000, declared: false },
    cpuLoadPercent: 25.5,
    memory: { total: 65_536, available: 32_768, offer: 49_152, declared: true },
    cards: [
      {
        cardId: "gpu-0",
        index: 0,
        model: "RTX 4090",
        vramTotalMib: 24_576,
        vramAvailableMib: 4_096,
        vramOfferMib: 24_576,
        declared: false,
        sharedMemory: false,
      },
    ],
    attempts: [
      {
        attemptId: randomUUID(),
        fence: 3,
        used: { cpuMillicores: 500, memoryMib: 100, cards: [{ cardId: "gpu-0", vramMib: 7, exclusive: false }] },
      },
    ],
    ...overrides,
  };
}

export function admissionOf(agentId: string, overrides: Partial<Admission> = {}): Admission {
  return {
    identity: {
      agentId,
      hostname: "desk-1",
      agentType: "desktop",
      poolName: "default",
      labels: { site: "north" },
      version: "0.1.0",
      platform: "linux x64",
    },
    incarnation: randomUUID(),
    session: 0,
    replicaId: randomUUID(),
    attached: true,
    ownerHold: false,
    credentialId: null,
    ...overrides,
  };
}

export function reservationOf(agentId: string, overrides: Partial<StoredReservation> = {}): StoredReservation {
  return {
    attemptId: randomUUID(),
    agentId,
    state: "unconfirmed",
    fence: 1,
    shape: "shape",
    reserved: { cpuMillicores: 1_000, memoryMib: 64, cards: [{ cardId: "gpu-0", vramMib: 512, exclusive: false }] },
    expectedEndAtMs: null,
    leaseExpiresAtMs: 1,
    releasedAtMs: null,
    needs: null,
    taskId: "task-1",
    planId: "plan-1",
    reservedAtMs: 1,
    ...overrides,
  };
}

export function insertOf(
  reservation: StoredReservation,
  version: number,
  leaseMs: number | null = 30_000,
): ReservationCommit {
  return {
    guards: [{ agentId: reservation.agentId, version }],
    writes: [{ reservation, leaseMs, previousAgentId: null, endsNow: false, beginsNow: true }],
  };
}

export function registryStoreConformance(makeStore: () => Promise<StoreUnderTest>): void {
  describe("RegistryStore conformance", () => {
    let under: StoreUnderTest;
    let store: RegistryStore;

    beforeAll(async () => {
      under = await makeStore();
      store = under.store;
    });
    afterAll(async () => under?.close());

    async function admit(agentId: string = randomUUID()) {
      const { agents } = await store.admit([admissionOf(agentId)]);
      return agents[0]!;
    }
    async function load(agentId: string) {
      return (await store.loadAgents([agentId])).agents[0]!;
    }

    it("registers an agent at its first Hello and counts the epoch up with each", async () => {
      const first = await admit();
      expect(first).toMatchObject({ epoch: 1, guardVersion: 0, status: "online", sample: null, cordoned: false });
      expect(first.labels).toEqual({ site: "north" });
      const again = await admit(first.agentId);
      expect(again.epoch).toBe(2);
      expect(again.firstSeenAtMs).toBe(first.firstSeenAtMs);
    });

    it("admits many at once and answers each", async () => {
      const ids = Array.from({ length: 50 }, () => randomUUID());
      const { agents } = await store.admit(ids.map((agentId) => admissionOf(agentId)));
      expect(new Set(agents.map((agent) => agent.agentId))).toEqual(new Set(ids));
    });

    it("keeps a sample exactly as it was", async () => {
      const { agentId, epoch } = await admit();
      const sample = sampleOf();
      await store.writeBeats([{ agentId, epoch, silentMs: 0, sample }]);
      expect((await load(agentId)).sample).toEqual(sample);
    });

    it("ignores beats and states of an older epoch", async () => {
      const { agentId } = await admit();
      await admit(agentId);
      await store.writeBeats([{ agentId, epoch: 1, silentMs: 0, sample: sampleOf() }]);
      await store.writeStatuses([
        {
          agentId,
          epoch: 1,
          status: "offline",
          statusReason: "late",
          statusSinceMs: 5,
          attached: false,
          ownerHold: true,
          flapping: NO_FLAPS,
        },
      ]);
      expect(await load(agentId)).toMatchObject({ sample: null, status: "online", attached: true, ownerHold: false });
    });

    it("writes states of the present epoch", async () => {
      const { agentId, epoch } = await admit();
      const state = { status: "suspect", statusReason: "its stream closed", statusSinceMs: 1_700_000_000_123 } as const;
      const flapping = { flaps: 4, lastFlapAtMs: 1_700_000_000_124, probationUntilMs: 1_700_000_030_125 };
      await store.writeStatuses([{ agentId, epoch, ...state, attached: false, ownerHold: true, flapping }]);
      expect(await load(agentId)).toMatchObject({ ...state, attached: false, ownerHold: true, flapping });
      expect((await admit(agentId)).flapping).toEqual(flapping);
    });

    it("never moves a guard with beats, states or cordons", async () => {
      const { agentId, epoch } = await admit();
      await store.writeBeats([{ agentId, epoch, silentMs: 0, sample: sampleOf() }]);
      await store.writeStatuses([
        {
          agentId,
          epoch,
          status: "online",
          statusReason: "",
          statusSinceMs: 5,
          attached: true,
          ownerHold: false,
          flapping: NO_FLAPS,
        },
      ]);
      await store.setCordon(agentId, true, "");
      expect((await load(agentId)).guardVersion).toBe(0);
    });

    it("commits a reservation with the store's own times and moves the guard by one", async () => {
      const { agentId } = await admit();
      const reservation = reservationOf(agentId);
      const outcome = await store.commitReservations(insertOf(reservation, 0));
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
      await store.commitReservations(insertOf(reservationOf(two.agentId), 0));
      const writes = [insertOf(reservationOf(one.agentId), 0), insertOf(reservationOf(two.agentId), 0)];
      const outcome = await store.commitReservations({
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
      await store.commitReservations(insertOf(reservation, 0));
      const outcome = await store.commitReservations(insertOf({ ...reservation, agentId: two.agentId }, 0));
      expect(outcome).toMatchObject({ kind: "conflict", attemptIds: [reservation.attemptId] });
      expect(await load(two.agentId)).toMatchObject({ guardVersion: 0 });
      expect(await store.findReservations([reservation.attemptId])).toEqual(
        new Map([[reservation.attemptId, one.agentId]]),
      );
    });

    it("of concurrent commits on one guard exactly one wins", async () => {
      const { agentId } = await admit();
      const commits = Array.from({ length: 8 }, () => insertOf(reservationOf(agentId), 0));
      const outcomes = await Promise.all(
        commits.map((commit, index) => (index % 2 === 0 ? store : under.second).commitReservations(commit)),
      );
      expect(outcomes.filter(({ kind }) => kind === "committed")).toHaveLength(1);
      expect(await load(agentId)).toMatchObject({ guardVersion: 1 });
    });

    it("commits on the same agents in any order do not deadlock", async () => {
      const agents = await Promise.all(Array.from({ length: 6 }, () => admit()));
      const rounds = Array.from({ length: 12 }, async (_, round) => {
        const order = round % 2 === 0 ? agents : agents.toReversed();
        const parts = order.map(({ agentId }) => insertOf(reservationOf(agentId), 0));
        return store.commitReservations({
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
      await store.commitReservations(insertOf(reservation, 0));
      const ended: StoredReservation = { ...reservation, state: "released", leaseExpiresAtMs: null, releasedAtMs: 5 };
      const outcome = await store.commitReservations({
        guards: [{ agentId, version: 1 }],
        writes: [{ reservation: ended, leaseMs: null, previousAgentId: agentId, endsNow: true, beginsNow: false }],
      });
      if (outcome.kind !== "committed") throw new Error("a conflict out of nowhere");
      expect(outcome.reservations[0]!.releasedAtMs).toBe(outcome.nowMs);
      expect((await load(agentId)).reservations.get(reservation.attemptId)?.state).toBe("released");
      await store.purgeTombstones(60_000, 1_000);
      expect((await load(agentId)).reservations.size).toBe(1);
      await store.purgeTombstones(-1_000, 1_000);
      expect((await load(agentId)).reservations.size).toBe(0);
    });

    it("finds leases that have run out by its own clock, and only those", async () => {
      const { agentId } = await admit();
      const [due, later] = [reservationOf(agentId), reservationOf(agentId)];
      await store.commitReservations(insertOf(due, 0, 0));
      await store.commitReservations(insertOf(later, 1, 60_000));
      const ids = (await store.findDueLeases(1_000)).due.map(({ attemptId }) => attemptId);
      expect(ids).toContain(due.attemptId);
      expect(ids).not.toContain(later.attemptId);
    });

    it("cordons and uncordons; an unknown agent is null", async () => {
      const { agentId } = await admit();
      expect(await store.setCordon(agentId, true, "disk")).toMatchObject({ cordoned: true, cordonReason: "disk" });
      expect(await store.setCordon(agentId, false, "")).toMatchObject({ cordoned: false, cordonReason: "" });
      expect(await store.setCordon(randomUUID(), true, "")).toBeNull();
    });

    it("drains an agent behind its guard, and ends the drain when nothing has room there", async () => {
      const { agentId } = await admit();
      const reservation = reservationOf(agentId);
      await store.commitReservations(insertOf(reservation, 0));
      const { nowMs } = await store.ping();
      const drained = await store.startDrain(agentId, 60_000, "disk");
      expect(drained).toMatchObject({ cordoned: true, draining: true, cordonReason: "disk", guardVersion: 2 });
      expect(drained!.drainDeadlineMs! - nowMs).toBeGreaterThan(50_000);
      expect(drained!.drainDeadlineMs! - nowMs).toBeLessThan(90_000);
      expect(await store.commitReservations(insertOf(reservationOf(agentId), 1))).toMatchObject({ kind: "conflict" });
      expect((await store.endDrains([agentId])).agents).toEqual([]);
      const ended: StoredReservation = { ...reservation, state: "released", leaseExpiresAtMs: null, releasedAtMs: 5 };
      await store.commitReservations({
        guards: [{ agentId, version: 2 }],
        writes: [{ reservation: ended, leaseMs: null, previousAgentId: agentId, endsNow: true, beginsNow: false }],
      });
      const [after] = (await store.endDrains([agentId])).agents;
      expect(after).toMatchObject({ cordoned: true, draining: false, drainDeadlineMs: null });
      expect(after!.cordonReason).toBe("disk (drained)");
      expect((await store.endDrains([agentId])).agents).toEqual([]);
      expect(await store.startDrain(randomUUID(), null, "")).toBeNull();
    });

    it("an uncordon ends a drain; a drain without a deadline has none", async () => {
      const { agentId } = await admit();
      expect(await store.startDrain(agentId, null, "")).toMatchObject({ draining: true, drainDeadlineMs: null });
      expect(await store.setCordon(agentId, false, "")).toMatchObject({ cordoned: false, draining: false });
    });

    it("of two starts of an agent at two living processes one is a clone, and changes nothing", async () => {
      const agentId = randomUUID();
      const [one, two] = [randomUUID(), randomUUID()];
      await store.renewReplica(one, 60_000);
      await store.renewReplica(two, 60_000);
      const first = admissionOf(agentId, { replicaId: one });
      expect((await store.admit([first])).refused).toEqual([]);
      const other = admissionOf(agentId, { replicaId: two });
      const refused = await under.second.admit([{ ...other, identity: { ...other.identity, hostname: "copy" } }]);
      expect(refused.refused).toEqual([{ agentId, why: "cloned" }]);
      expect(await load(agentId)).toMatchObject({ epoch: 1, incarnation: first.incarnation, hostname: "desk-1" });
      // The same start may go where it likes, and another one may come once the first is in doubt or its process gone.
      expect((await store.admit([{ ...first, replicaId: two }])).agents[0]).toMatchObject({ epoch: 2, replicaId: two });
      await store.retireReplica(two);
      expect((await store.admit([admissionOf(agentId, { replicaId: one })])).refused).toEqual([]);
      await store.retireReplica(one);
    });

    it("a Hello that comes after a newer one of the same start is late, and changes nothing", async () => {
      const agentId = randomUUID();
      const newer = admissionOf(agentId, { session: 3 });
      expect((await store.admit([newer])).refused).toEqual([]);
      const late = { ...newer, session: 2, replicaId: randomUUID(), attached: false };
      expect((await under.second.admit([late])).refused).toEqual([{ agentId, why: "late" }]);
      expect(await load(agentId)).toMatchObject({ epoch: 1, replicaId: newer.replicaId, attached: true });
      // The next of the same start, the first of another one, and one that does not count are not late.
      expect((await store.admit([{ ...newer, session: 4 }])).agents[0]).toMatchObject({ epoch: 2 });
      expect((await store.admit([admissionOf(agentId, { session: 1, replicaId: newer.replicaId })])).refused).toEqual(
        [],
      );
      expect((await store.admit([{ ...newer, session: 0 }])).refused).toEqual([]);
    });

    it("of two starts at once exactly one is let in", async () => {
      const [one, two] = [randomUUID(), randomUUID()];
      await store.renewReplica(one, 60_000);
      await store.renewReplica(two, 60_000);
      const agentIds = Array.from({ length: 10 }, () => randomUUID());
      const refused = await Promise.all(
        agentIds.map(async (agentId) => {
          const both = await Promise.all([
            store.admit([admissionOf(agentId, { replicaId: one })]),
            under.second.admit([admissionOf(agentId, { replicaId: two })]),
          ]);
          return both.flatMap(({ refused }) => refused.map((refusal) => refusal.agentId));
        }),
      );
      expect(refused).toEqual(agentIds.map((agentId) => [agentId]));
      await store.retireReplica(one);
      await store.retireReplica(two);
    });

    it("tells every living process that losses were confirmed", async () => {
      const one = randomUUID();
      expect((await store.renewReplica(one, 60_000)).lossesConfirmedAtMs).toBeNull();
      const { nowMs } = await under.second.confirmLosses();
      expect((await store.renewReplica(one, 60_000)).lossesConfirmedAtMs).toBeGreaterThanOrEqual(nowMs);
      await store.retireReplica(one);
    });

    it("removes only an agent that is offline, with its reservations, and takes it back at a Hello", async () => {
      const { agentId, epoch } = await admit();
      await store.commitReservations(insertOf(reservationOf(agentId), 0));
      expect(await store.removeAgent(agentId)).toBe("not_offline");
      await store.writeStatuses([
        {
          agentId,
          epoch,
          status: "offline",
          statusReason: "",
          statusSinceMs: 5,
          attached: false,
          ownerHold: false,
          flapping: NO_FLAPS,
        },
      ]);
      expect(await store.removeAgent(agentId)).toBe("removed");
      expect(await store.removeAgent(agentId)).toBe("not_found");
      expect((await store.loadAgents([agentId])).agents).toEqual([]);
      const back = await admit(agentId);
      expect(back.epoch).toBe(epoch + 1);
      expect(back.reservations.size).toBe(0);
    });

    it("tells another process what changed, and what was removed", async () => {
      const { nowMs } = await store.ping();
      const { agentId, epoch } = await admit();
      const changed = await under.second.loadChangedSince(nowMs - 1);
      expect(changed.agents.map((agent) => agent.agentId)).toContain(agentId);
      await store.writeStatuses([
        {
          agentId,
          epoch,
          status: "offline",
          statusReason: "",
          statusSinceMs: 5,
          attached: false,
          ownerHold: false,
          flapping: NO_FLAPS,
        },
      ]);
      await store.removeAgent(agentId);
      expect((await under.second.loadChangedSince(nowMs - 1)).removedAgentIds).toContain(agentId);
    });

    it("knows which registry processes live", async () => {
      const [one, two] = [randomUUID(), randomUUID()];
      await store.renewReplica(one, 60_000);
      await under.second.renewReplica(two, 0);
      const seen = await store.renewReplica(one, 60_000);
      const living = seen.replicas.filter(({ leaseExpiresAtMs }) => leaseExpiresAtMs > seen.nowMs);
      expect(living.map(({ replicaId }) => replicaId)).toContain(one);
      expect(living.map(({ replicaId }) => replicaId)).not.toContain(two);
      await store.retireReplica(one);
      const after = await under.second.renewReplica(two, 60_000);
      expect(after.replicas.map(({ replicaId }) => replicaId)).not.toContain(one);
    });
  });
}
