/** What one registry process sees of another one, in virtual time. */
import { sleep } from "@headroom/runtime";
import { afterFlap, forgiven, NO_FLAPS } from "@headroom/scheduling";
import { captureLogger, manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { Pace } from "../heartbeat/pace.ts";
import { ReservationDesk } from "../reservations/desk.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import type { ReplicaLease } from "../store/registry-store.ts";
import type { StoredAgent, StoredReservation } from "../store/stored-agent.ts";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { Drains } from "./drains.ts";
import { Liveness } from "./liveness.ts";
import { Pulses } from "./pulses.ts";
import { Replicas } from "./replicas.ts";
import { createSampleNews } from "./sample-news.ts";
import { StateWriter } from "./state-writer.ts";
import { Sweep } from "./sweep.ts";

const OTHER = "00000000-0000-4000-8000-0000000000ff";
const LEASE_MS = 5_000;

/** This process, which holds nobody, and what the store says of another one that holds an agent. */
function setUp({ shortestIntervalMs = 5_000 } = {}) {
  const ports = manualPorts();
  const logger = captureLogger();
  const fleet = new Fleet("this");
  const storeClock = new StoreClock(ports.clock);
  const nowMs = (): number => ports.clock.now();
  const other = {
    agents: [agentWith({ replicaId: OTHER })] as StoredAgent[],
    leaseMs: nowMs(),
    isAlive: true,
    hasStopped: false,
  };
  const database = {
    isAway: false,
    renewals: 0,
    loads: 0,
    lossesConfirmedAtMs: null as number | null,
    /** Told of each load. */
    reading: (_what: "fleet" | "changes"): void => undefined,
    /** Comes between a load and its answer. */
    whileLoading: (): void => undefined,
    loadMs: 0,
    /** Statuses that this process wrote. */
    written: [] as string[],
  };
  const load = async (what: "fleet" | "changes") => {
    database.loads += 1;
    database.reading(what);
    const loaded = { agents: other.agents, removedAgentIds: [], nowMs: nowMs() };
    database.whileLoading();
    if (database.loadMs > 0) await sleep(ports.timers, database.loadMs);
    return loaded;
  };
  const store = storeStub({
    writeStatuses: (writes) => {
      database.written.push(...writes.map(({ agentId, status }) => `${agentId} ${status}`));
      return Promise.resolve({ nowMs: nowMs() });
    },
    renewReplica: () => {
      if (database.isAway) return Promise.reject(new Error("away"));
      database.renewals += 1;
      // It renews each second, to the last before it dies.
      if (other.isAlive) other.leaseMs = nowMs() + LEASE_MS;
      const lease: ReplicaLease = { replicaId: OTHER, leaseExpiresAtMs: other.leaseMs };
      const replicas = other.hasStopped ? [] : [lease];
      return Promise.resolve({ replicas, lossesConfirmedAtMs: database.lossesConfirmedAtMs, nowMs: nowMs() });
    },
    loadFleet: () => load("fleet"),
    loadChangedSince: () => load("changes"),
  });
  const pulses = new Pulses();
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
    replicaId: "this",
    fleet,
    pulses,
    writer,
    storeClock,
    clock: ports.clock,
    logger,
    flapsTolerated: 3,
  });
  const pace = new Pace({ size: 0 }, shortestIntervalMs);
  const desk = new ReservationDesk({ fleet, store, storeClock, logger, takeLoaded: () => undefined });
  const sweep = new Sweep({
    fleet,
    pulses,
    liveness,
    writer,
    drains: new Drains({ fleet, store, storeClock, desk, logger }),
    storeClock,
    ports,
    logger,
    intervalMs: () => pace.intervalMs,
    graceMs: 30_000,
    replicaId: "this",
    isHeldElsewhere: (agent) => replicas.isHeldElsewhere(agent),
    onOffline: () => undefined,
  });
  const disputed: string[] = [];
  /** What whoever serves was told of the way to the store. */
  const told: string[] = [];
  let confirmations = 0;
  const replicas = new Replicas({
    replicaId: "this",
    fleet,
    store,
    storeClock,
    liveness,
    pulses,
    ports,
    logger,
    intervalMsOf: (agentsHeld) => pace.intervalMsOf(agentsHeld),
    onLossesConfirmed: () => (confirmations += 1),
    onMovedAway: () => undefined,
    onDisputed: (agentId) => disputed.push(agentId),
    onCutOff: () => told.push("cut off"),
    onCaughtUp: () => told.push("caught up"),
  });
  const seen = (): StoredAgent | undefined => fleet.get(agentWith().agentId);
  return {
    writer,
    sweep,
    pulses,
    ports,
    logger,
    other,
    database,
    replicas,
    seen,
    fleet,
    disputed,
    told,
    confirmations: () => confirmations,
  };
}

describe("following another registry process", () => {
  it("DESIGN-4: what it changed is seen within a second", async () => {
    const { ports, other, replicas, seen } = setUp();
    await replicas.loop.start();
    await ports.advance(3_000);
    expect(seen()).toMatchObject({ status: "online", replicaId: OTHER });
    for (let cores = 1; cores <= 5; cores += 1) {
      const sample = { ...sampleWith(cores), sampledAtMs: ports.clock.now() };
      other.agents = [agentWith({ replicaId: OTHER, sample })];
      await ports.advance(1_000);
      expect(seen()?.sample?.cpu.available).toBe(cores * 1_000);
    }
    await replicas.loop.stop("test");
  });

  it("DESIGN-4: what it tells of is seen at once, once however often it tells; what was told here is not looked for", async () => {
    const { ports, other, replicas, database, seen } = setUp();
    const told: string[] = [];
    let hear: (payload: string) => void = () => undefined;
    const news = createSampleNews({
      replicaId: "this",
      replicas,
      notifier: { notify: (_channel, item) => void told.push(item ?? "") },
      listener: {
        subscribe(_channel, handler) {
          hear = handler;
          return () => undefined;
        },
      },
    });
    news.written();
    await news.start();
    await replicas.loop.start();
    await ports.advance(3_000);
    // Alone, nobody was to be told.
    expect(told).toEqual([]);
    news.written();
    expect(told).toEqual(["this"]);
    const sample = { ...sampleWith(7), sampledAtMs: ports.clock.now() };
    other.agents = [agentWith({ replicaId: OTHER, sample })];
    const { loads } = database;
    hear("this");
    await ports.advance(1);
    expect(database.loads).toBe(loads);
    hear(OTHER);
    hear(`this,${OTHER}`);
    await ports.advance(1);
    expect(seen()?.sample?.cpu.available).toBe(7_000);
    expect(database.loads).toBe(loads + 1);
    await replicas.loop.stop("test");
    await news.stop("test");
  });

  it("DESIGN-4: looks that take long leave four fifths of the time to others, however often it tells", async () => {
    const { ports, replicas, database } = setUp();
    await replicas.loop.start();
    await ports.advance(3_000);
    database.loadMs = 100;
    const { loads } = database;
    for (let atMs = 0; atMs < 10_000; atMs += 20) {
      replicas.newsHeard();
      await ports.advance(20);
    }
    const looks = database.loads - loads;
    expect(looks).toBeGreaterThan(15);
    expect(looks).toBeLessThanOrEqual(21);
    database.loadMs = 0;
    await ports.advance(1_000);
    await replicas.loop.stop("test");
  });

  it("DESIGN-4: its death shows within six seconds: its agents are suspect, and nobody blames them", async () => {
    const { ports, other, replicas, seen } = setUp();
    await replicas.loop.start();
    await ports.advance(3_000);
    other.isAlive = false;
    await ports.advance(4_000);
    expect(seen()?.status).toBe("online");
    await ports.advance(2_000);
    expect(seen()).toMatchObject({ status: "suspect", flapping: { flaps: 0 } });
    await replicas.loop.stop("test");
  });

  it("DESIGN-4: what it wrote last before it stopped in order is read, though nobody else is left", async () => {
    const { ports, other, database, replicas, seen } = setUp();
    await replicas.loop.start();
    await ports.advance(3_000);
    const sample = { ...sampleWith(3), sampledAtMs: ports.clock.now() };
    other.agents = [agentWith({ replicaId: OTHER, cordoned: true, sample })];
    other.hasStopped = true;
    const { loads } = database;
    await ports.advance(5_000);
    // They are on their way here, not in doubt.
    expect(seen()).toMatchObject({ status: "online", cordoned: true, sample });
    expect(database.loads).toBe(loads + 1);
    await replicas.loop.stop("test");
  });

  it("DESIGN-4: its many agents are waited for, when it has stopped in order, for as long as it has told them to take", async () => {
    const { ports, other, replicas, sweep, fleet } = setUp({ shortestIntervalMs: 1_000 });
    other.agents = Array.from({ length: 4_000 }, (_, index) =>
      agentWith({ agentId: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`, replicaId: OTHER }),
    );
    const sentAway = new Pace({ size: other.agents.length }, 1_000);
    expect(sentAway.reconnectWithinMs).toBe(4_000);
    await replicas.loop.start();
    await sweep.loop.start();
    await ports.advance(3_000);
    other.hasStopped = true;
    const suspects = () => [...fleet.agents()].filter(({ status }) => status === "suspect").length;
    await ports.advance(sentAway.reconnectWithinMs + 1_000);
    expect(suspects()).toBe(0);
    // Whoever does not come is doubted, and nobody blames it.
    await ports.advance(3_000);
    expect(suspects()).toBe(4_000);
    expect([...fleet.agents()].filter(({ flapping }) => flapping.flaps > 0)).toEqual([]);
    await sweep.loop.stop("test");
    await replicas.loop.stop("test");
  });

  it("DESIGN-4: what it wrote last before it stopped is read even if the database was away at first", async () => {
    const { ports, other, database, replicas, seen } = setUp();
    await replicas.loop.start();
    await ports.advance(3_000);
    other.agents = [agentWith({ replicaId: OTHER, cordoned: true })];
    other.hasStopped = true;
    database.whileLoading = () => {
      database.whileLoading = () => undefined;
      throw new Error("away");
    };
    await ports.advance(1_000);
    expect(seen()?.cordoned).toBe(false);
    await ports.advance(1_000);
    expect(seen()?.cordoned).toBe(true);
    await replicas.loop.stop("test");
  });

  it("DESIGN-4: all that it holds is read, also where the database was away when it was first seen to live", async () => {
    const { ports, database, replicas, seen } = setUp();
    const read: string[] = [];
    database.reading = (what) => void read.push(what);
    database.whileLoading = () => {
      database.whileLoading = () => undefined;
      throw new Error("away");
    };
    await replicas.loop.start();
    await ports.advance(4_000);
    expect(read.slice(0, 3)).toEqual(["fleet", "fleet", "changes"]);
    expect(seen()?.status).toBe("online");
    await replicas.loop.stop("test");
  });

  it("DESIGN-4: an agent that was removed there is gone here, and one that says hello meanwhile is not", async () => {
    const { ports, database, replicas, seen, fleet } = setUp();
    const [removed, back, fresh] = [2, 3, 4].map((number) => {
      return agentWith({ agentId: `00000000-0000-4000-8000-00000000000${number}`, replicaId: "this" });
    });
    fleet.put(removed!);
    fleet.put(back!);
    database.whileLoading = () => {
      fleet.put({ ...back!, epoch: 2 });
      fleet.put(fresh!);
      database.whileLoading = () => undefined;
    };
    await replicas.loop.start();
    await ports.advance(3_000);
    expect(seen()).toBeDefined();
    expect(fleet.get(removed!.agentId)).toBeUndefined();
    expect(fleet.get(back!.agentId)?.epoch).toBe(2);
    expect(fleet.get(fresh!.agentId)).toBeDefined();
    await replicas.loop.stop("test");
  });

  it("renews its lease while what the others did takes long to read, and stops doing so", async () => {
    const { ports, database, replicas } = setUp();
    await replicas.loop.start();
    await ports.advance(3_000);
    database.loadMs = 12_000;
    const { renewals } = database;
    await ports.advance(12_000);
    expect(database.renewals).toBeGreaterThanOrEqual(renewals + 11);
    database.loadMs = 0;
    await ports.advance(12_000);
    await replicas.loop.stop("test");
    const atLast = database.renewals;
    await ports.advance(10_000);
    expect(database.renewals).toBe(atLast);
  });

  it("knows tombstones from before on, and where an attempt has moved to, though it is told the new ones only", async () => {
    const { ports, other, replicas, fleet } = setUp();
    const elsewhere = "00000000-0000-4000-8000-000000000002";
    const ended = (attemptId: string, fields: Partial<StoredReservation> = {}) =>
      reservationWith({ attemptId, state: "released", releasedAtMs: ports.clock.now(), ...fields });
    const agents = (guardVersion: number, here: readonly StoredReservation[], there: readonly StoredReservation[]) => [
      agentWith({ replicaId: OTHER, guardVersion, reservations: reservationsOf(...here) }),
      agentWith({ agentId: elsewhere, replicaId: OTHER, guardVersion, reservations: reservationsOf(...there) }),
    ];
    const runs = reservationWith({ attemptId: "runs" });
    other.agents = agents(1, [ended("old"), ended("moves"), runs], []);
    await replicas.loop.start();
    await ports.advance(60_000);
    const moved = reservationWith({ attemptId: "moves", agentId: elsewhere, fence: 2 });
    other.agents = agents(2, [ended("runs")], [moved]);
    await ports.advance(1_000);
    const [here, there] = [fleet.get(agentWith().agentId), fleet.get(elsewhere)].map((agent) =>
      [...(agent?.reservations.values() ?? [])].map(({ attemptId, state }) => `${attemptId} ${state}`).toSorted(),
    );
    expect(here).toEqual(["old released", "runs released"]);
    expect(there).toEqual(["moves confirmed"]);
    expect(fleet.reservation("moves")?.agentId).toBe(elsewhere);
    await replicas.loop.stop("test");
  });

  it("DESIGN-4: whom it blamed and forgives is forgiven here, though nothing else of the agent has changed", async () => {
    const { ports, other, replicas, seen } = setUp();
    await replicas.loop.start();
    await ports.advance(3_000);
    const lost = { replicaId: OTHER, status: "suspect" } as const;
    const blamed = afterFlap(NO_FLAPS, ports.clock.now());
    other.agents = [agentWith({ ...lost, flapping: blamed })];
    await ports.advance(1_000);
    expect(seen()?.flapping.flaps).toBe(1);
    other.agents = [agentWith({ ...lost, flapping: forgiven(NO_FLAPS, blamed) })];
    await ports.advance(1_000);
    expect(seen()?.flapping.flaps).toBe(0);
    await replicas.loop.stop("test");
  });

  it("is told again of an agent of ours that it took for lost while the database was slow", async () => {
    const { ports, other, replicas, fleet, disputed } = setUp();
    fleet.put(agentWith({ replicaId: "this" }));
    other.agents = [agentWith({ replicaId: "this" })];
    await replicas.loop.start();
    await ports.advance(3_000);
    expect(disputed).toEqual([]);
    other.agents = [agentWith({ replicaId: "this", status: "suspect" })];
    await ports.advance(1_000);
    expect(disputed).toEqual([agentWith().agentId]);
    expect(fleet.get(agentWith().agentId)?.status).toBe("online");
    await replicas.loop.stop("test");
  });

  it("V17: losses are confirmed by an operator's word only, not by a row that another process took for a dead one's", async () => {
    const { ports, database, replicas, confirmations } = setUp();
    await replicas.loop.start();
    await ports.advance(2_000);
    for (const [at, counted] of [
      [1_000, 1],
      [null, 1],
      [1_000, 1],
      [2_000, 2],
    ] as const) {
      database.lossesConfirmedAtMs = at;
      await ports.advance(2_000);
      expect(confirmations()).toBe(counted);
    }
    await replicas.loop.stop("test");
  });

  it("seed 87247: after an outage it is followed before room is promised, once for all who ask; else nothing is read for that", async () => {
    const { ports, other, database, replicas, seen } = setUp();
    await replicas.loop.start();
    await ports.advance(3_000);
    const renewals = database.renewals;
    await replicas.catchUp();
    expect(database.renewals).toBe(renewals);
    database.isAway = true;
    other.agents = [agentWith({ replicaId: OTHER, attached: false })];
    await ports.advance(20_500);
    await expect(replicas.catchUp()).rejects.toThrow("away");
    expect(seen()?.attached).toBe(true);
    database.isAway = false;
    await Promise.all([replicas.catchUp(), replicas.catchUp()]);
    expect(database.renewals).toBe(renewals + 1);
    expect(seen()?.attached).toBe(false);
    await replicas.loop.stop("test");
  });

  it("that cannot be done says so once with the error, and once when it can again", async () => {
    const { ports, logger, database, replicas } = setUp();
    await replicas.loop.start();
    await ports.advance(3_000);
    database.isAway = true;
    await ports.advance(30_000);
    const told = () => logger.records.filter(({ level }) => level !== "debug");
    expect(told()).toMatchObject([
      { level: "warn", message: expect.stringContaining("renew its lease"), fields: { err: new Error("away") } },
      { level: "error", message: expect.stringContaining("is cut off"), fields: { doubted_agents: 1 } },
    ]);
    database.isAway = false;
    await ports.advance(3_000);
    expect(told().slice(2)).toMatchObject([
      { level: "info", message: expect.stringContaining("no longer cut off") },
      { level: "info", message: expect.stringContaining("renews its lease") },
    ]);
    await replicas.loop.stop("test");
  });
});

describe("a process that starts", () => {
  /** It has loaded the fleet, and meets the others. */
  async function startMeeting(change: (parts: ReturnType<typeof setUp>) => void = () => undefined) {
    const parts = setUp();
    const { ports, other, replicas } = parts;
    other.leaseMs = ports.clock.now() + LEASE_MS - 100;
    other.isAlive = false;
    change(parts);
    replicas.begin({ agents: other.agents, nowMs: ports.clock.now() });
    await replicas.refresh();
    await replicas.loop.start();
    const abort = new AbortController();
    const meeting = { is: "under way" };
    const met = replicas.meetOthers(abort.signal).then(
      () => (meeting.is = "over"),
      () => (meeting.is = "cut short"),
    );
    await ports.advance(0);
    return { ...parts, abort, meeting, met, end: () => replicas.loop.stop("test") };
  }

  it("DESIGN-4: knows the agents of another one that lives as that one knows them before it has met it", async () => {
    const { ports, other, database, seen, meeting, end } = await startMeeting();
    expect(seen()?.status).toBe("unknown");
    await ports.advance(900);
    expect(meeting.is).toBe("under way");
    // It renews its lease; to read what it holds takes a while.
    other.isAlive = true;
    database.loadMs = 700;
    await ports.advance(300);
    database.loadMs = 0;
    await ports.advance(300);
    expect(meeting.is).toBe("under way");
    await ports.advance(500);
    expect(meeting.is).toBe("over");
    expect(seen()?.status).toBe("online");
    await end();
  });

  it("DESIGN-4: waits for nobody who has missed two renewals: one that was killed delays no start for longer", async () => {
    const { ports, seen, meeting, end } = await startMeeting();
    await ports.advance(1_700);
    expect(meeting.is).toBe("under way");
    await ports.advance(400);
    expect(meeting.is).toBe("over");
    expect(seen()?.status).toBe("unknown");
    await end();
  });

  it.each([
    ["nobody else is there", 0, true],
    ["the other one was killed before", 2_900, false],
  ])("waits for nothing where %s", async (_why, leftMs, hasStopped) => {
    const { meeting, end } = await startMeeting(({ ports, other }) => {
      other.leaseMs = ports.clock.now() + leftMs;
      other.hasStopped = hasStopped;
    });
    expect(meeting.is).toBe("over");
    await end();
  });

  it("DESIGN-4: waits 5 s at most, whatever the others and the database do", async () => {
    const { ports, database, meeting, end } = await startMeeting(({ other }) => (other.isAlive = true));
    database.whileLoading = () => {
      throw new Error("away");
    };
    await ports.advance(5_500);
    expect(meeting.is).toBe("over");
    await end();
  });

  it("does not wait when it is stopped", async () => {
    const { ports, abort, meeting, met, end } = await startMeeting();
    const startedAtMs = ports.clock.monotonic();
    abort.abort(new Error("stopped"));
    await met;
    expect(meeting.is).toBe("cut short");
    expect(ports.clock.monotonic()).toBe(startedAtMs);
    await end();
  });
});

describe("a process that is cut off from the store, alone perhaps", () => {
  /** It follows another process, and is then cut off for so long. */
  async function cutOffFor(ms: number) {
    const parts = setUp();
    const { ports, database, replicas } = parts;
    await replicas.loop.start();
    await ports.advance(3_000);
    database.isAway = true;
    await ports.advance(ms);
    return { ...parts, end: () => replicas.loop.stop("test") };
  }

  it("DESIGN-4: tells figures from before for 16 s at most: then whoever watches is sent away, and the others' agents are doubted here only", async () => {
    const { ports, seen, told, fleet, database, writer, end } = await cutOffFor(14_000);
    const own = agentWith({ agentId: "00000000-0000-4000-8000-000000000002", replicaId: "this" });
    fleet.put(own);
    expect(seen()?.status).toBe("online");
    expect(told).toEqual([]);
    await ports.advance(2_000);
    expect(told).toEqual(["cut off"]);
    expect(seen()).toMatchObject({ status: "suspect", flapping: { flaps: 0 } });
    expect(fleet.get(own.agentId)?.status).toBe("online");
    await ports.advance(600_000);
    await writer.flush();
    expect(seen()?.status).toBe("suspect");
    expect(told).toEqual(["cut off"]);
    expect(database.written).toEqual([]);
    await end();
  });

  it("an outage that is over before, such as a failover, changes nothing", async () => {
    const { ports, database, seen, told, end } = await cutOffFor(14_000);
    database.isAway = false;
    await ports.advance(60_000);
    database.isAway = true;
    await ports.advance(14_000);
    expect(seen()?.status).toBe("online");
    expect(told).toEqual([]);
    await end();
  });

  it("a process that has never followed, for it just starts, is not cut off", async () => {
    const { ports, database, replicas, told } = setUp();
    database.isAway = true;
    await replicas.loop.start();
    await ports.advance(60_000);
    expect(told).toEqual([]);
    expect(replicas.isCutOff).toBe(false);
    await replicas.loop.stop("test");
  });

  it("a process that has stood still asks before it judges", async () => {
    const { ports, replicas, seen, told, database, end } = await cutOffFor(0);
    database.isAway = false;
    await replicas.loop.stop("stands still");
    await ports.advance(60_000);
    await replicas.loop.start();
    await ports.advance(2_000);
    expect(seen()?.status).toBe("online");
    expect(told).toEqual([]);
    await end();
  });

  it("is back with the next look that succeeds: they are what they were, though nothing of them has changed in the store", async () => {
    const { ports, database, other, seen, told, writer, end } = await cutOffFor(3_600_000);
    const sinceMs = agentWith().statusSinceMs;
    database.isAway = false;
    other.agents = [];
    await ports.advance(1_000);
    expect(seen()).toMatchObject({ status: "online", statusSinceMs: sinceMs, statusReason: "hello" });
    expect(told).toEqual(["cut off", "caught up"]);
    await writer.flush();
    expect(database.written).toEqual([]);
    await end();
  });

  it("takes over first what the others have learned meanwhile", async () => {
    const { ports, database, other, seen, end } = await cutOffFor(60_000);
    database.isAway = false;
    other.agents = [agentWith({ replicaId: OTHER, status: "offline", statusReason: "goodbye: sleep" })];
    await ports.advance(1_000);
    expect(seen()).toMatchObject({ status: "offline", statusReason: "goodbye: sleep" });
    await end();
  });

  it("DESIGN-4: agents of a process that has died meanwhile are doubted anew, and by everybody", async () => {
    const { ports, database, other, seen, writer, pulses, end } = await cutOffFor(3_600_000);
    other.isAlive = false;
    await ports.advance(10_000);
    database.isAway = false;
    await ports.advance(1_000);
    expect(seen()).toMatchObject({ status: "suspect", statusReason: "the registry process that held it is gone" });
    // They have a whole grace to come back.
    expect(pulses.get(agentWith().agentId)?.doubtedSinceMs).toBeGreaterThan(ports.clock.monotonic() - 2_000);
    await writer.flush();
    expect(database.written).toEqual([`${agentWith().agentId} suspect`]);
    await end();
  });

  it("DESIGN-4: is so also where only the reading fails; agents of a process that stops in order then are on their way, not in doubt", async () => {
    const { ports, database, other, seen, told, pulses, end } = await cutOffFor(0);
    database.isAway = false;
    database.whileLoading = () => {
      throw new Error("away");
    };
    await ports.advance(16_000);
    expect(told).toEqual(["cut off"]);
    expect(seen()?.status).toBe("suspect");
    other.hasStopped = true;
    await ports.advance(1_000);
    expect(seen()?.status).toBe("online");
    expect(pulses.get(agentWith().agentId)?.heardAtMs).toBeGreaterThan(ports.clock.monotonic() - 2_000);
    expect(told).toEqual(["cut off"]);
    database.whileLoading = () => undefined;
    await ports.advance(1_000);
    expect(told).toEqual(["cut off", "caught up"]);
    await end();
  });
});
