/** What one registry process sees of another one, in virtual time. */
import { afterFlap, forgiven, NO_FLAPS } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { Pace } from "../heartbeat/pace.ts";
import type { StoredReservation } from "../store/stored-agent.ts";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { createSampleNews } from "./sample-news.ts";
import { OTHER, setUp } from "./replicas.test-helper.ts";

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

  it.each([
    ["back", -3_600_000],
    ["ahead", 3_600_000],
  ])(
    "DESIGN-4: it lives as before when the database's clock is set %s, and its death shows as soon",
    async (_, byMs) => {
      const { ports, other, storeIs, replicas, seen } = setUp();
      await replicas.loop.start();
      await ports.advance(3_000);
      storeIs.aheadMs = byMs;
      await ports.advance(5_000);
      expect(seen()?.status).toBe("online");
      other.isAlive = false;
      await ports.advance(6_000);
      expect(seen()?.status).toBe("suspect");
      await replicas.loop.stop("test");
    },
  );

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
