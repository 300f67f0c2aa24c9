import { createDeferred, silentLogger } from "@headroom/runtime";
import { TOMBSTONE_MS } from "@headroom/scheduling";
import { describe, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { mergeLoaded } from "../fleet/merge-loaded.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import type { RegistryStore, ReservationCommit } from "../store/registry-store.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { ReservationDesk } from "./desk.ts";
import { MemoryRows } from "./memory-rows.test-helper.ts";
import { releaseOperation } from "./release.ts";
import { renewOperation } from "./renew.ts";

const idOf = (each: number): string => `00000000-0000-4000-8000-0000000000a${each}`;
const agentIdOf = (each: number): string => `00000000-0000-4000-8000-${String(each).padStart(12, "0")}`;

/** A desk of one process over this many agents, each of which runs what nobody has promised: its first report changes a row. */
function deskOver(agents: number) {
  const commits: ReservationCommit[] = [];
  const fleet = new Fleet("this registry");
  const clock = { now: () => 1_000_000, monotonic: () => 1_000_000 };
  const gate = { opened: Promise.resolve() };
  const store = storeStub({
    async commitReservations(commit) {
      await gate.opened;
      commits.push(commit);
      return { kind: "committed", nowMs: clock.now(), reservations: commit.writes.map((write) => write.reservation) };
    },
    findReservations: async () => new Map(),
  });
  const desk = new ReservationDesk({
    fleet,
    store,
    storeClock: new StoreClock(clock),
    logger: silentLogger,
    takeLoaded: () => {},
  });
  const agentIds = Array.from({ length: agents }, (_, each) => agentIdOf(each));
  const runs = (agentId: string, attempts: number): void => {
    const used = { cpuMillicores: 100, memoryMib: 10, cards: [] };
    const listed = Array.from({ length: attempts }, (_, each) => ({
      attemptId: `${agentId.slice(0, 24)}${String(each).padStart(4, "0")}${agentId.slice(-8)}`,
      fence: 1,
      used,
    }));
    fleet.put({ ...agentWith({ agentId, epoch: 1 }), sample: { ...sampleWith(16), attempts: listed } });
  };
  for (const agentId of agentIds) runs(agentId, 1);
  const report = (agentId: string): void => desk.reconcileSoon(agentId, { by: "beat", epoch: 1, madeAfterMs: 0 });
  return { desk, commits, gate, agentIds, runs, report };
}

test("DESIGN-4: a list that comes late over an old stream gives up nothing that the agent's newer session has confirmed", async () => {
  const earlier = reservationWith({ attemptId: idOf(1), state: "confirmed", leaseExpiresAtMs: null });
  const since = reservationWith({ attemptId: idOf(2), state: "confirmed", leaseExpiresAtMs: null });
  const before = agentWith({ epoch: 1, guardVersion: 1, reservations: reservationsOf(earlier) });
  const { agentId } = before;
  // Another registry process has the agent by now, and has confirmed one thing more.
  const rows = new MemoryRows([{ ...before, epoch: 2, guardVersion: 2, reservations: reservationsOf(earlier, since) }]);
  const fleet = new Fleet("this registry");
  const desk = new ReservationDesk({
    fleet,
    // The desk uses no other part of the store.
    store: rows as Partial<RegistryStore> as RegistryStore,
    storeClock: new StoreClock({ now: () => rows.nowMs, monotonic: () => rows.nowMs }),
    logger: silentLogger,
    takeLoaded(agents) {
      for (const agent of agents) fleet.put(mergeLoaded(fleet.get(agent.agentId), agent, "another_living"));
    },
  });

  fleet.put({ ...before, sample: { ...sampleWith(16), attempts: [] } });
  desk.reconcileSoon(agentId, { by: "beat", epoch: 1, madeAfterMs: 0 });
  await desk.idle();

  expect(fleet.get(agentId)?.epoch).toBe(2);
  expect(rows.rows().map(({ attemptId, state }) => [attemptId, state])).toEqual([
    [idOf(1), "confirmed"],
    [idOf(2), "confirmed"],
  ]);
});

describe("an attempt that another registry process has moved to another agent", () => {
  /** This process has heard nothing of it yet. */
  function deskThatIsBehind() {
    const moved = reservationWith({
      attemptId: idOf(1),
      agentId: agentIdOf(1),
      state: "unconfirmed",
      leaseExpiresAtMs: 2_000_000,
    });
    const from = agentWith({ agentId: agentIdOf(1), guardVersion: 1, reservations: reservationsOf(moved) });
    const to = agentWith({ agentId: agentIdOf(2), guardVersion: 1 });
    const rows = new MemoryRows([
      { ...from, guardVersion: 2, reservations: reservationsOf() },
      { ...to, guardVersion: 2, reservations: reservationsOf({ ...moved, agentId: to.agentId, fence: 2 }) },
    ]);
    const fleet = new Fleet("this registry");
    fleet.put(from);
    fleet.put(to);
    const desk = new ReservationDesk({
      fleet,
      // The desk uses no other part of the store.
      store: rows as Partial<RegistryStore> as RegistryStore,
      storeClock: new StoreClock({ now: () => rows.nowMs, monotonic: () => rows.nowMs }),
      logger: silentLogger,
      takeLoaded(agents) {
        for (const agent of agents) fleet.put(mergeLoaded(fleet.get(agent.agentId), agent, "another_living"));
      },
    });
    return { desk, rows, attempts: [{ attemptId: idOf(1), fence: 2 }] };
  }

  test("is released where it is now", async () => {
    const { desk, rows, attempts } = deskThatIsBehind();
    await expect(desk.submit(releaseOperation(attempts))).resolves.toMatchObject([{ kind: "released" }]);
    expect(rows.row(idOf(1))).toMatchObject({ agentId: agentIdOf(2), state: "released" });
  });

  test("is renewed where it is now", async () => {
    const { desk, rows, attempts } = deskThatIsBehind();
    await expect(desk.submit(renewOperation(attempts, 5_000))).resolves.toMatchObject([{ kind: "renewed" }]);
    expect(rows.row(idOf(1))).toMatchObject({ agentId: agentIdOf(2), state: "unconfirmed" });
  });
});

test("reports of a whole fleet take one place among what waits, and no other operation is refused for them", async () => {
  const { desk, commits, gate, agentIds, report } = deskOver(10_100);
  const opened = createDeferred();
  gate.opened = opened.promise;
  // The first group is being committed while all others come.
  report(agentIds[0]!);
  await new Promise(setImmediate);
  for (const agentId of agentIds) report(agentId);
  const released = desk.submit(releaseOperation([{ attemptId: idOf(1), fence: 1 }]));
  opened.resolve();
  await expect(released).resolves.toBeDefined();
  await desk.idle();
  expect(commits.flatMap(({ writes }) => writes)).toHaveLength(agentIds.length);
  expect(desk.isDue).toBe(false);
});

test("one commit takes a thousand reports, and the rest follow at once, the oldest first", async () => {
  const { desk, commits, agentIds, report } = deskOver(2_500);
  for (const agentId of agentIds) report(agentId);
  await desk.idle();
  expect(commits.map(({ writes }) => writes.length)).toEqual([1_000, 1_000, 500]);
  expect(commits.flatMap(({ writes }) => writes.map(({ reservation }) => reservation.agentId))).toEqual(agentIds);
});

test("reports that change many rows each are fewer in one commit", async () => {
  const { desk, commits, agentIds, runs, report } = deskOver(5);
  for (const agentId of agentIds) {
    runs(agentId, 400);
    report(agentId);
  }
  await desk.idle();
  expect(commits.map(({ writes }) => writes.length)).toEqual([1_200, 800]);
});

test("a tick that was refused because too many operations wait is asked for again", async () => {
  const { desk, commits, gate, agentIds, report } = deskOver(2);
  const opened = createDeferred();
  gate.opened = opened.promise;
  report(agentIds[0]!);
  await new Promise(setImmediate);
  const waiting = Array.from({ length: 10_000 }, () => desk.submit(releaseOperation([])));
  await expect(desk.tick()).rejects.toThrow("too many reservations wait");
  opened.resolve();
  await Promise.all(waiting);
  await desk.idle();
  report(agentIds[1]!);
  await desk.idle();
  expect(commits).toHaveLength(2);
});

describe("an agent that lists other attempts in each report", () => {
  /** As many as a sample may list. */
  const LISTED = 4_096;

  /** A store of two agents, one of which does, so many times; each time the other runs one thing more. */
  async function listAnew(times: number, waitMs = 0) {
    const [strange, plain] = [agentIdOf(1), agentIdOf(2)];
    const clock = { nowMs: 1_000_000 };
    const fleet = new Fleet("this registry");
    for (const agentId of [strange, plain]) fleet.put(agentWith({ agentId }));
    const refused: string[] = [];
    const desk = new ReservationDesk({
      fleet,
      store: storeStub({
        async commitReservations(commit) {
          return {
            kind: "committed",
            nowMs: clock.nowMs,
            reservations: commit.writes.map(({ reservation, endsNow }) =>
              endsNow ? { ...reservation, releasedAtMs: clock.nowMs } : reservation,
            ),
          };
        },
        findReservations: async () => new Map(),
      }),
      storeClock: new StoreClock({ now: () => clock.nowMs, monotonic: () => clock.nowMs }),
      logger: silentLogger,
      takeLoaded: () => {},
      onTooManyUnknown: (agentId) => void refused.push(agentId),
    });
    const report = (agentId: string, attemptIds: readonly string[]): void => {
      const used = { cpuMillicores: 1, memoryMib: 1, cards: [] };
      const attempts = attemptIds.map((attemptId) => ({ attemptId, fence: 1, used }));
      fleet.put({ ...fleet.get(agentId)!, sample: { ...sampleWith(16), attempts } });
      desk.reconcileSoon(agentId, { by: "beat", epoch: 1, madeAfterMs: clock.nowMs });
    };
    for (let time = 0; time < times; time += 1) {
      report(
        strange,
        Array.from({ length: LISTED }, (_, each) => `strange ${time} ${each}`),
      );
      report(
        plain,
        Array.from({ length: time + 1 }, (_, each) => `plain ${each}`),
      );
      await desk.idle();
      clock.nowMs += waitMs;
    }
    return { strange: fleet.get(strange)!, plain: fleet.get(plain)!, refused };
  }

  test("leaves a bounded number of tombstones, and is told of; what others report in the same groups is taken", async () => {
    const { strange, plain, refused } = await listAnew(12);
    expect(strange.reservations.size).toBe(2 * LISTED);
    expect(refused).toEqual(Array.from({ length: 10 }, () => strange.agentId));
    expect(plain.reservations.heldCount).toBe(12);
  });

  test("of what is refused nothing is taken: what ran before holds its room", async () => {
    const { strange } = await listAnew(3);
    expect([...strange.reservations.held()].every(({ attemptId }) => attemptId.startsWith("strange 1 "))).toBe(true);
  });

  test("is listened to where it does so seldom", async () => {
    const { refused } = await listAnew(4, TOMBSTONE_MS / 2);
    expect(refused).toEqual([]);
  });
});
