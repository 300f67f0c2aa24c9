import { createDeferred } from "@headroom/runtime";
import { captureLogger, manualPorts } from "@headroom/testing";
import { type Flapping, newerFlapping, ttlMs } from "@headroom/scheduling";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { ReservationDesk } from "../reservations/desk.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { agentWith, reservationsOf, reservationWith } from "../test-agents.test-helper.ts";
import { Drains } from "./drains.ts";
import { Liveness } from "./liveness.ts";
import { Pulses } from "./pulses.ts";
import { StateWriter } from "./state-writer.ts";
import { Sweep } from "./sweep.ts";

const INTERVAL_MS = 5_000;
const TTL_MS = 3 * INTERVAL_MS;
const GRACE_MS = 30_000;

/** The n-th agent of a fleet. */
const idOf = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

function startWith(agents: readonly StoredAgent[]) {
  const ports = manualPorts();
  const logger = captureLogger();
  const fleet = new Fleet("instance");
  const pulses = new Pulses();
  const storeClock = new StoreClock(ports.clock);
  /** When it answers, and how often it was asked. */
  const database = { answers: Promise.resolve(), asked: 0 };
  const store = storeStub({
    async endDrains(agentIds) {
      database.asked += 1;
      await database.answers;
      return {
        agents: agentIds.map((agentId) => ({ ...fleet.get(agentId)!, draining: false, drainDeadlineMs: null })),
        nowMs: ports.clock.now(),
      };
    },
  });
  const desk = new ReservationDesk({ fleet, store, storeClock, logger, takeLoaded: () => undefined });
  const writer = new StateWriter({
    replicaId: "here",
    fleet,
    pulses,
    store,
    storeClock,
    ports,
    logger,
    hasReaders: () => false,
    onBeatsWritten: () => undefined,
  });
  const liveness = new Liveness({
    replicaId: "here",
    fleet,
    pulses,
    writer,
    storeClock,
    clock: ports.clock,
    logger,
    flapsTolerated: 3,
  });
  const drains = new Drains({ fleet, store, storeClock, desk, logger });
  const sweep = new Sweep({
    fleet,
    pulses,
    liveness,
    writer,
    drains,
    storeClock,
    ports,
    logger,
    intervalMs: () => INTERVAL_MS,
    graceMs: GRACE_MS,
    replicaId: "here",
    isHeldElsewhere: ({ replicaId }) => replicaId === "elsewhere",
    onOffline: () => undefined,
  });
  for (const agent of agents) {
    fleet.put(agent);
    pulses.heard(agent.agentId, ports.clock.monotonic());
  }
  const count = (status: StoredAgent["status"]): number =>
    [...fleet.agents()].filter((agent) => agent.status === status).length;
  return { ports, logger, fleet, pulses, liveness, sweep, drains, database, count };
}

const fleetOf = (size: number): StoredAgent[] =>
  Array.from({ length: size }, (_, index) => agentWith({ agentId: idOf(index) }));

describe("the sweep", () => {
  let stop: (() => Promise<void>) | null = null;
  afterEach(async () => {
    await stop?.();
    stop = null;
  });

  async function start(agents: readonly StoredAgent[]) {
    const parts = startWith(agents);
    await parts.sweep.loop.start();
    stop = () => parts.sweep.loop.stop("test");
    return parts;
  }

  it("DESIGN-4: judges by the interval that an agent was told, not by the one of now", async () => {
    const { ports, fleet, pulses } = await start([agentWith()]);
    pulses.told(agentWith().agentId, 20_000);
    await ports.advance(59_000);
    expect(fleet.get(agentWith().agentId)!.status).toBe("online");
    await ports.advance(3_000);
    expect(fleet.get(agentWith().agentId)!).toMatchObject({ status: "suspect", statusReason: "no beat for 60 s" });
  });

  it("DESIGN-4: silence counts in the first sweep after the TTL, and not before, whatever was told and whoever held it meanwhile", async () => {
    const step = fc.record({
      agent: fc.nat({ max: 2 }),
      what: fc.constantFrom("beats", "beats", "beats", "moves away", "moves back", "is drained", "is heard"),
      intervalMs: fc.constantFrom(1_000, 5_000, 20_000, 60_000),
      thenMs: fc.constantFrom(1_000, 1_000, 3_000, 20_000, 100_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        const { ports, fleet, pulses, sweep } = startWith(fleetOf(3).map((agent) => ({ ...agent, replicaId: "here" })));
        await sweep.loop.start();
        const before = new Map<string, StoredAgent["status"]>();
        for (const { agent: index, what, intervalMs, thenMs } of steps) {
          const agent = fleet.get(idOf(index))!;
          const nowMs = ports.clock.monotonic();
          if (what === "beats" && agent.status === "online") pulses.beat(agent.agentId, nowMs, intervalMs);
          if (what === "is heard") pulses.heard(agent.agentId, nowMs);
          if (what === "moves away") fleet.put({ ...agent, replicaId: "elsewhere" });
          if (what === "moves back") fleet.put({ ...agent, replicaId: "here" });
          if (what === "is drained")
            fleet.put({ ...agent, draining: true, reservations: reservationsOf(reservationWith()) });
          for (let passedMs = 0; passedMs < thenMs; passedMs += 1_000) {
            await ports.advance(1_000);
            for (const { agentId, status, replicaId } of fleet.agents()) {
              const { heardAtMs, intervalMs: toldMs } = pulses.get(agentId)!;
              const isSilent = ports.clock.monotonic() >= heardAtMs + ttlMs(toldMs ?? INTERVAL_MS);
              if (status === "online" && replicaId === "here") expect(isSilent).toBe(false);
              if (status === "suspect" && before.get(agentId) === "online") expect(isSilent).toBe(true);
              before.set(agentId, status);
            }
          }
        }
        await sweep.loop.stop("test");
      }),
    );
  });

  it("a sweep that fails in the middle forgets nobody", async () => {
    const { ports, fleet, logger, pulses, count } = await start(fleetOf(9));
    for (const { agentId } of fleet.agents()) pulses.told(agentId, INTERVAL_MS);
    let failures = 0;
    fleet.onChange(() => {
      failures += 1;
      if (failures === 1) throw new Error("a fault of ours");
    });
    await ports.advance(TTL_MS + 3_000);
    expect(logger.has("the liveness sweep failed", "error")).toBe(true);
    expect(count("suspect")).toBe(9);
  });

  it("DESIGN-4: leaves alone whom another living process holds", async () => {
    const { ports, fleet } = await start([agentWith({ replicaId: "elsewhere" })]);
    await ports.advance(TTL_MS + GRACE_MS + 5_000);
    expect(fleet.get(agentWith().agentId)!.status).toBe("online");
  });

  it("DESIGN-4: the mass-loss brake keeps them suspect, lets few pass, and ends after three graces", async () => {
    const { ports, logger, sweep, count } = await start(fleetOf(100));
    await ports.advance(TTL_MS + GRACE_MS + 3_000);
    expect(logger.has("very many agents would go offline", "error")).toBe(true);
    expect(count("offline")).toBeLessThanOrEqual(4);
    expect(sweep.heldAgents).toBeGreaterThanOrEqual(95);
    expect(count("online")).toBe(0);
    // A hundred are lost within one second; fifty lines tell it, and how many were withheld.
    const suspects = logger.records.filter(({ message }) => message.startsWith("agent is suspect"));
    expect(suspects.filter(({ level }) => level === "warn")).toHaveLength(50);
    expect(suspects.filter(({ level }) => level === "debug")).toHaveLength(50);
    expect(logger.records.map(({ fields }) => fields["withheld"])).toContain(50);
    await ports.advance(2 * GRACE_MS);
    expect(count("suspect")).toBeGreaterThan(0);
    await ports.advance(GRACE_MS + 3_000);
    expect(count("offline")).toBe(100);
    expect(sweep.heldAgents).toBe(0);
  });

  it("DESIGN-4: the brake sees a loss whose beats before it were seconds apart, and that falls due over several sweeps", async () => {
    const { ports, pulses, sweep, count } = await start(fleetOf(12));
    for (let index = 0; index < 12; index += 1) {
      pulses.heard(idOf(index), ports.clock.monotonic() - INTERVAL_MS + index * 400);
    }
    await ports.advance(TTL_MS + GRACE_MS - 1_000);
    expect(count("offline")).toBeLessThanOrEqual(5);
    expect(sweep.heldAgents).toBeGreaterThan(0);
    await ports.advance(3 * GRACE_MS + 5_000);
    expect(count("offline")).toBe(12);
  });

  it("DESIGN-4: operators can confirm the losses, and a confirmation without a brake is forgotten", async () => {
    const { ports, sweep, count } = await start(fleetOf(100));
    sweep.confirmLosses();
    await ports.advance(TTL_MS + GRACE_MS + 3_000);
    expect(sweep.heldAgents).toBeGreaterThanOrEqual(95);
    sweep.confirmLosses();
    await ports.advance(2_000);
    expect(count("offline")).toBe(100);
    expect(sweep.heldAgents).toBe(0);
  });

  it("DESIGN-4: losses of many at once put nobody on probation", async () => {
    const { ports, fleet, liveness, pulses } = await start(
      fleetOf(100).map((agent) => ({ ...agent, replicaId: "here" })),
    );
    for (let round = 0; round < 6; round += 1) {
      for (const { agentId } of [...fleet.agents()]) liveness.apply(agentId, "stream_closed", "its stream closed");
      await ports.advance(30_000 - 1);
      for (const { agentId } of [...fleet.agents()]) {
        pulses.heard(agentId, ports.clock.monotonic());
        liveness.apply(agentId, "hello", "hello");
      }
      await ports.advance(1);
    }
    expect([...fleet.agents()].filter(({ flapping }) => flapping.flaps > 0)).toEqual([]);
  });

  it("DESIGN-4: whoever has read of one that was blamed before it was seen that many are lost forgives it as well", async () => {
    const { fleet, liveness } = await start(fleetOf(100).map((agent) => ({ ...agent, replicaId: "here" })));
    const blamed = new Map<string, Flapping>();
    fleet.onChange(({ agentId, after }) => {
      if (after !== null && after.flapping.flaps > 0) blamed.set(agentId, after.flapping);
    });
    for (const { agentId } of [...fleet.agents()]) liveness.apply(agentId, "stream_closed", "its stream closed");
    expect(blamed.size).toBe(15);
    for (const [agentId, read] of blamed) {
      const { flapping } = fleet.get(agentId)!;
      expect(flapping.flaps).toBe(0);
      expect(newerFlapping(read, flapping)).toBe(flapping);
    }
  });

  it("DESIGN-4: of one that is held elsewhere by then nothing is forgiven here: whether it is on probation is said there", async () => {
    const { fleet, liveness } = await start(fleetOf(100).map((agent) => ({ ...agent, replicaId: "here" })));
    const [first, ...others] = [...fleet.agents()];
    liveness.apply(first!.agentId, "stream_closed", "its stream closed");
    const moved = { ...fleet.get(first!.agentId)!, replicaId: "elsewhere", epoch: 2 };
    fleet.put(moved);
    for (const { agentId } of others) liveness.apply(agentId, "stream_closed", "its stream closed");
    expect(fleet.get(first!.agentId)).toBe(moved);
    expect([...fleet.agents()].filter(({ flapping }) => flapping.flaps > 0)).toEqual([moved]);
  });

  it("DESIGN-4: silence is a flap of agents held here, and none of those on their way from a process that stopped", async () => {
    const [here, coming] = [
      agentWith({ agentId: idOf(1), replicaId: "here" }),
      agentWith({ agentId: idOf(2), replicaId: "gone" }),
    ];
    const { ports, fleet } = await start([here, coming]);
    await ports.advance(TTL_MS + 2_000);
    expect(fleet.get(here.agentId)!).toMatchObject({ status: "suspect", flapping: { flaps: 1 } });
    expect(fleet.get(coming.agentId)!).toMatchObject({ status: "suspect", flapping: { flaps: 0 } });
  });

  it("DESIGN-4: an agent that flaps is on probation, and it ends by itself", async () => {
    const { ports, fleet, liveness, pulses } = await start([agentWith()]);
    const { agentId } = agentWith();
    pulses.told(agentId, 60_000);
    for (let flap = 0; flap < 4; flap += 1) {
      expect(fleet.get(agentId)!.flapping.probationUntilMs).toBeNull();
      liveness.apply(agentId, "stream_closed", "its stream closed");
      liveness.apply(agentId, "hello", "hello");
    }
    expect(fleet.get(agentId)!.flapping.probationUntilMs).toBe(ports.clock.now() + 30_000);
    await ports.advance(29_000);
    expect(fleet.get(agentId)!.flapping.probationUntilMs).not.toBeNull();
    await ports.advance(2_000);
    expect(fleet.get(agentId)!.flapping).toMatchObject({ flaps: 4, probationUntilMs: null });
  });

  it("DESIGN-4: announced closes, goodbyes and the end of another process are no flaps", async () => {
    const { fleet, liveness } = await start([agentWith()]);
    const { agentId } = agentWith();
    for (let round = 0; round < 10; round += 1) {
      liveness.apply(agentId, "reconnect_announced_close", "asked to reconnect");
      liveness.apply(agentId, "goodbye", "goodbye: sleep");
      liveness.apply(agentId, "hello", "hello");
      liveness.apply(agentId, "stream_closed", "the registry process that held it is gone", { isFlap: false });
      liveness.apply(agentId, "hello", "hello");
    }
    expect(fleet.get(agentId)!.flapping.flaps).toBe(0);
  });

  it("DESIGN-4: is not held up by a drain that the database does not answer for; it is asked once, and waited for at the end", async () => {
    const [silent, drained] = [
      agentWith({ agentId: idOf(1), replicaId: "here" }),
      agentWith({ agentId: idOf(2), draining: true, cordoned: true, status: "offline" }),
    ];
    const { ports, fleet, database, drains } = await start([silent]);
    const answered = createDeferred();
    database.answers = answered.promise;
    fleet.put(drained);
    await ports.advance(TTL_MS + 2_000);
    expect(fleet.get(silent.agentId)!.status).toBe("suspect");
    expect(database.asked).toBe(1);
    let isIdle = false;
    const idle = drains.idle().then(() => (isIdle = true));
    await ports.advance(0);
    expect(isIdle).toBe(false);
    answered.resolve();
    await idle;
    expect(fleet.get(drained.agentId)!.draining).toBe(false);
  });

  it("a drain ends when nothing has room there, and its deadline is told once", async () => {
    const reservations = reservationsOf(reservationWith());
    const drained = { draining: true, cordoned: true };
    const { ports, fleet, logger } = await start([]);
    const deadline = ports.clock.now() + 5_000;
    fleet.put(agentWith({ ...drained, drainDeadlineMs: deadline, reservations, status: "offline" }));
    let changes = 0;
    fleet.onChange(() => (changes += 1));
    await ports.advance(4_000);
    expect(changes).toBe(0);
    await ports.advance(10_000);
    expect(changes).toBe(1);
    expect(logger.has("the drain's deadline has passed")).toBe(true);
    expect(fleet.get(agentWith().agentId)!.draining).toBe(true);
    fleet.put({ ...fleet.get(agentWith().agentId)!, reservations: reservationsOf() });
    await ports.advance(2_000);
    expect(fleet.get(agentWith().agentId)!).toMatchObject({ cordoned: true, draining: false, drainDeadlineMs: null });
  });
});
