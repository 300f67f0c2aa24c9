/** What a commit of reservations must do in every RegistryStore: all or nothing, whatever stands in its way. */
import type { RegistryStore, ReservationCommit, StoredReservation } from "@headroom/registry";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { admissionOf, insertOf, reservationOf, type StoreUnderTest } from "./fixtures.ts";

type Write = ReservationCommit["writes"][number];

export function registryCommitConformance(makeStore: () => Promise<StoreUnderTest>): void {
  describe("RegistryStore conformance: commits of reservations", () => {
    let under: StoreUnderTest;
    let store: RegistryStore;

    beforeAll(async () => {
      under = await makeStore();
      store = under.store;
    });
    afterAll(async () => under?.close());

    async function admitMany(count: number): Promise<readonly string[]> {
      const { agents } = await store.admit(Array.from({ length: count }, () => admissionOf(randomUUID())));
      return agents.map(({ agentId }) => agentId);
    }
    /** Everything that a commit could have changed, in an order of its own. */
    async function stateOf(agentIds: readonly string[]) {
      const { agents } = await store.loadAgents(agentIds);
      return agents
        .map(({ agentId, guardVersion, reservations }) => ({
          agentId,
          guardVersion,
          rows: [...reservations.values()].toSorted((a, b) => (a.attemptId < b.attemptId ? -1 : 1)),
        }))
        .toSorted((a, b) => (a.agentId < b.agentId ? -1 : 1));
    }
    async function held(agentId: string, version: number): Promise<StoredReservation> {
      const outcome = await store.commitReservations(insertOf(reservationOf(agentId), version));
      if (outcome.kind !== "committed") throw new Error("a conflict out of nowhere");
      return outcome.reservations[0]!;
    }
    const insert = (agentId: string): Write => insertOf(reservationOf(agentId), 0).writes[0]!;
    const update = (known: StoredReservation, changes: Partial<StoredReservation> = {}): Write => ({
      reservation: { ...known, ...changes },
      leaseMs: 60_000,
      previousAgentId: known.agentId,
      endsNow: false,
      beginsNow: false,
    });
    const end = (known: StoredReservation): Write => ({
      ...update(known, { state: "released", leaseExpiresAtMs: null, releasedAtMs: 5 }),
      leaseMs: null,
      endsNow: true,
    });
    const guard = (agentId: string, version: number) => ({ agentId, version });

    it("inserts, changes, ends and moves in one commit, and says what stands in the store then", async () => {
      const [one, two] = (await admitMany(2)) as [string, string];
      const renewed = await held(one, 0);
      const moved = await held(one, 1);
      const ended = await held(two, 0);
      const needs = {
        cpuMillicores: 1_500,
        memoryMib: 10,
        gpuCount: 1,
        gpuVramMib: 512,
        gpuExclusive: false,
        gpuModels: ['a "quoted" model', "back\\slash, {brace}"],
        labels: { site: "NULL", "k'ey": "ä" },
        pool: null,
        agentId: null,
      };
      const fresh = [
        insertOf(reservationOf(one, { needs, shape: 'a "shape"', taskId: 'task "1", {x}', planId: "NULL" }), 0),
        insertOf(reservationOf(two, { needs, shape: null, expectedEndAtMs: 1_704_067_200_123, planId: "" }), 0),
        insertOf(reservationOf(two, { state: "confirmed", leaseExpiresAtMs: null, fence: 7 }), 0, null),
      ].map(({ writes }) => writes[0]!);
      const outcome = await store.commitReservations({
        guards: [guard(two, 1), guard(one, 2)],
        writes: [
          update(renewed, { fence: 2 }),
          fresh[0]!,
          update(moved, { agentId: two }),
          end(ended),
          fresh[1]!,
          fresh[2]!,
        ],
      });
      if (outcome.kind !== "committed") throw new Error("a conflict out of nowhere");
      const after = await stateOf([one, two]);
      expect(new Set(after.map(({ guardVersion }) => guardVersion))).toEqual(new Set([2, 3]));
      const stored = after.flatMap(({ rows }) => rows);
      expect(stored).toHaveLength(6);
      for (const row of outcome.reservations) {
        expect(stored.find(({ attemptId }) => attemptId === row.attemptId)).toEqual(row);
      }
      expect(outcome.reservations.map(({ attemptId }) => attemptId)).toEqual([
        renewed.attemptId,
        fresh[0]!.reservation.attemptId,
        moved.attemptId,
        ended.attemptId,
        fresh[1]!.reservation.attemptId,
        fresh[2]!.reservation.attemptId,
      ]);
    });

    it("I3: a guard that has moved leaves every other guard and row as it was", async () => {
      const agentIds = await admitMany(4);
      const [one, two, three] = agentIds as [string, string, string, string];
      const known = await held(one, 0);
      await held(three, 0);
      const before = await stateOf(agentIds);
      const outcome = await store.commitReservations({
        guards: [guard(one, 1), guard(two, 0), guard(three, 0)],
        writes: [update(known, { agentId: two }), insert(two), insert(three)],
      });
      expect(outcome).toEqual({ kind: "conflict", agentIds: [three], attemptIds: [] });
      expect(await stateOf(agentIds)).toEqual(before);
    });

    it("I3: an agent that does not exist is a guard that has moved", async () => {
      const agentIds = await admitMany(1);
      const nobody = randomUUID();
      const before = await stateOf(agentIds);
      const outcome = await store.commitReservations({
        guards: [guard(agentIds[0]!, 0), guard(nobody, 0)],
        writes: [insert(agentIds[0]!), insert(nobody)],
      });
      expect(outcome).toEqual({ kind: "conflict", agentIds: [nobody], attemptIds: [] });
      expect(await stateOf(agentIds)).toEqual(before);
    });

    it("I3: a row that another agent has already leaves everything as it was", async () => {
      const agentIds = await admitMany(3);
      const [one, two, three] = agentIds as [string, string, string];
      const known = await held(one, 0);
      const mine = await held(two, 0);
      const before = await stateOf(agentIds);
      const outcome = await store.commitReservations({
        guards: [guard(two, 1), guard(three, 0)],
        writes: [
          insert(three),
          end(mine),
          { ...insert(three), reservation: { ...known, agentId: three } },
          insert(two),
        ],
      });
      expect(outcome).toEqual({ kind: "conflict", agentIds: [], attemptIds: [known.attemptId] });
      expect(await stateOf(agentIds)).toEqual(before);
    });

    it("I3: a row that is gone leaves everything as it was", async () => {
      const agentIds = await admitMany(2);
      const [one, two] = agentIds as [string, string];
      const known = await held(one, 0);
      const before = await stateOf(agentIds);
      const gone = reservationOf(one);
      const outcome = await store.commitReservations({
        guards: [guard(one, 1), guard(two, 0)],
        writes: [update(known, { fence: 9 }), insert(two), update(gone, { fence: 9 })],
      });
      expect(outcome).toEqual({ kind: "conflict", agentIds: [], attemptIds: [gone.attemptId] });
      expect(await stateOf(agentIds)).toEqual(before);
    });

    it("I3: of one batch that comes over eight connections at once exactly one is written, whole", async () => {
      const agentIds = await admitMany(5);
      const writes = agentIds.flatMap((agentId) => Array.from({ length: 10 }, () => insert(agentId)));
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, each) =>
          (each % 2 === 0 ? store : under.second).commitReservations({
            guards: agentIds.map((agentId) => guard(agentId, 0)),
            writes: each % 3 === 0 ? writes : writes.toReversed(),
          }),
        ),
      );
      expect(outcomes.filter(({ kind }) => kind === "committed")).toHaveLength(1);
      for (const { guardVersion, rows } of await stateOf(agentIds)) {
        expect(guardVersion).toBe(1);
        expect(rows).toHaveLength(10);
      }
    });

    it("I3: the same attempts on different agents, from eight connections at once, are written once, whole", async () => {
      for (let round = 0; round < 5; round += 1) {
        const agentIds = await admitMany(8);
        const attempts = Array.from({ length: 20 }, () => randomUUID());
        // Under eight different guards: only the rows themselves can collide.
        const outcomes = await Promise.all(
          agentIds.map((agentId, each) => {
            const ids = each % 2 === 0 ? attempts : attempts.toReversed();
            const writes = ids.map((attemptId) => insertOf(reservationOf(agentId, { attemptId }), 0).writes[0]!);
            return (each % 2 === 0 ? store : under.second).commitReservations({ guards: [guard(agentId, 0)], writes });
          }),
        );
        const winners = outcomes.flatMap((outcome, each) => (outcome.kind === "committed" ? [agentIds[each]] : []));
        expect(winners).toHaveLength(1);
        for (const { agentId, guardVersion, rows } of await stateOf(agentIds)) {
          expect([guardVersion, rows.length]).toEqual(agentId === winners[0] ? [1, 20] : [0, 0]);
        }
      }
    });

    it("I3: moves there and back, with tombstones purged meanwhile, leave no half of a commit", async () => {
      const agentIds = await admitMany(2);
      const [one, two] = agentIds as [string, string];
      let known = await held(one, 0);
      for (let version = 1; version <= 20; version += 1) {
        const from = known.agentId;
        const to = from === one ? two : one;
        const versions = new Map((await stateOf(agentIds)).map((state) => [state.agentId, state.guardVersion]));
        const tombstone: Write = {
          ...insert(from),
          reservation: reservationOf(from, { state: "released", leaseExpiresAtMs: null, releasedAtMs: 5 }),
          leaseMs: null,
        };
        const commit: ReservationCommit = {
          guards: agentIds.map((agentId) => guard(agentId, versions.get(agentId)!)),
          writes: [update(known, { agentId: to, fence: version }), tombstone],
        };
        const [first, second] = await Promise.all([
          store.commitReservations(commit),
          under.second.commitReservations(commit),
          store.purgeTombstones(0, 1_000),
        ]);
        expect(new Set([first.kind, second.kind])).toEqual(new Set(["committed", "conflict"]));
        known = { ...known, agentId: to };
        const rows = (await stateOf(agentIds)).flatMap((state) => state.rows);
        expect(rows.filter(({ state }) => state !== "released")).toMatchObject([
          { attemptId: known.attemptId, agentId: to, fence: version },
        ]);
      }
    });
  });
}
