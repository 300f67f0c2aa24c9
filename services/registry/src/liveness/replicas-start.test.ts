/** A registry process that starts beside others. */
import { describe, expect, it } from "vitest";
import { LEASE_MS, setUp } from "./replicas.test-helper.ts";

describe("a process that starts", () => {
  /** It has loaded the fleet, and meets the others. */
  async function startMeeting(change: (parts: ReturnType<typeof setUp>) => void = () => undefined) {
    const parts = setUp();
    const { ports, other, replicas, seen } = parts;
    other.leaseMs = ports.clock.now() + LEASE_MS - 100;
    other.isAlive = false;
    change(parts);
    replicas.begin({ agents: other.agents, nowMs: ports.clock.now() });
    await replicas.refresh();
    await replicas.loop.start();
    const abort = new AbortController();
    const meeting = { is: "under way", knownThen: "nothing" };
    const met = replicas.meetOthers(abort.signal).then(
      () => Object.assign(meeting, { is: "over", knownThen: seen()?.status }),
      () => Object.assign(meeting, { is: "cut short" }),
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

  it("DESIGN-4: waits while what another one that lives holds is read, though that takes longer than two renewals", async () => {
    const { ports, other, database, meeting, end } = await startMeeting();
    await ports.advance(900);
    other.isAlive = true;
    database.loadMs = 1_500;
    await ports.advance(1_500);
    expect(meeting.is).toBe("under way");
    database.loadMs = 0;
    await ports.advance(500);
    expect(meeting).toEqual({ is: "over", knownThen: "online" });
    await end();
  });

  it("DESIGN-4: waits until what another one that lives holds has been read, though that fails once", async () => {
    const { ports, other, database, meeting, end } = await startMeeting();
    await ports.advance(1_700);
    let failures = 0;
    other.isAlive = true;
    database.whileLoading = () => {
      failures += 1;
      if (failures === 1) throw new Error("away");
    };
    await ports.advance(1_500);
    expect(failures).toBeGreaterThan(0);
    expect(meeting).toEqual({ is: "over", knownThen: "online" });
    await end();
  });

  it("DESIGN-4: takes nobody for dead by a look that failed", async () => {
    const { ports, other, database, meeting, end } = await startMeeting();
    await ports.advance(900);
    other.isAlive = true;
    database.isAway = true;
    await ports.advance(1_300);
    expect(meeting.is).toBe("under way");
    database.isAway = false;
    await ports.advance(1_200);
    expect(meeting).toEqual({ is: "over", knownThen: "online" });
    await end();
  });

  it("DESIGN-4: waits for nobody who has missed two renewals: one that was killed delays no start for longer", async () => {
    const { ports, seen, meeting, end } = await startMeeting();
    await ports.advance(1_700);
    expect(meeting.is).toBe("under way");
    // By the next look after two renewals.
    await ports.advance(600);
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
