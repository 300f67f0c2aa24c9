/** A registry process whose way to the store is cut. */
import { describe, expect, it } from "vitest";
import { agentWith } from "../test-agents.test-helper.ts";
import { OTHER, setUp } from "./replicas.test-helper.ts";

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
