import { describe, expect, it } from "vitest";
import {
  deadlines,
  heartbeatIntervalMs,
  LIVENESS_TABLE,
  type LivenessEvent,
  type LivenessState,
  livenessStep,
  reconnectWithinMs,
  type SweptAgent,
  sweepVerdict,
  ttlMs,
} from "./liveness.ts";
import { massLossBrake } from "./mass-loss-brake.ts";

const GRACE = 30_000;

const EVENTS: readonly LivenessEvent[] = [
  "hello",
  "beat",
  "stream_closed",
  "reconnect_announced_close",
  "ttl_missed",
  "grace_ended",
  "goodbye",
  "registry_restarted",
  "removed",
];

/** One row per state, one column per event in the order above. */
const CELLS: { readonly [S in LivenessState]: readonly string[] } = {
  unknown: ["online", "!hello_first", "unknown", "unknown", "unknown", "offline", "offline", "unknown", "removed"],
  online: ["online", "online", "suspect", "online", "suspect", "!not_due", "offline", "unknown", "removed"],
  suspect: ["online", "online", "suspect", "suspect", "suspect", "offline", "offline", "unknown", "removed"],
  offline: ["online", "!hello_first", "offline", "offline", "offline", "offline", "offline", "offline", "removed"],
  removed: ["online", "!removed", "removed", "removed", "removed", "removed", "removed", "removed", "removed"],
};
const STATES = Object.keys(CELLS) as readonly LivenessState[]; // keys of a mapped type over LivenessState

describe("the liveness table, cell by cell", () => {
  it.each(STATES.flatMap((state) => EVENTS.map((event, column) => ({ state, event, cell: CELLS[state][column]! }))))(
    "DESIGN-4: $state × $event is $cell",
    ({ state, event, cell }) => {
      expect(livenessStep(state, event)).toEqual(
        cell.startsWith("!")
          ? { kind: "rejected", state, reason: cell.slice(1) }
          : { kind: "moved", from: state, to: cell },
      );
    },
  );

  it("DESIGN-4: the table has these states and events and no others", () => {
    expect(Object.keys(LIVENESS_TABLE).toSorted()).toEqual(STATES.toSorted());
    for (const state of STATES) expect(Object.keys(LIVENESS_TABLE[state]).toSorted()).toEqual(EVENTS.toSorted());
  });

  it("DESIGN-4: only a Hello and a beat make an agent online, and nothing but silence or a goodbye makes it offline", () => {
    const leading = (to: LivenessState): readonly LivenessEvent[] =>
      EVENTS.filter((event) => STATES.some((state) => state !== to && LIVENESS_TABLE[state][event] === to));
    expect(leading("online")).toEqual(["hello", "beat"]);
    expect(leading("offline")).toEqual(["grace_ended", "goodbye"]);
    expect(leading("suspect")).toEqual(["stream_closed", "ttl_missed"]);
    expect(leading("unknown")).toEqual(["registry_restarted"]);
  });
});

describe("liveness", () => {
  it("R-CAP-5: a closed stream or a missed TTL puts an agent out at once", () => {
    expect(livenessStep("online", "stream_closed")).toMatchObject({ to: "suspect" });
    expect(livenessStep("online", "ttl_missed")).toMatchObject({ to: "suspect" });
  });

  it("DESIGN-4: a close after Reconnect stays online until its TTL", () => {
    expect(livenessStep("online", "reconnect_announced_close")).toMatchObject({ to: "online" });
  });

  it("DESIGN-4: a goodbye goes offline at once, from any state", () => {
    for (const state of ["unknown", "online", "suspect", "offline"] as const) {
      expect(livenessStep(state, "goodbye")).toMatchObject({ to: "offline" });
    }
  });

  it("DESIGN-4: after a restart agents are unknown until they are back or the grace ends", () => {
    expect(livenessStep("online", "registry_restarted")).toMatchObject({ to: "unknown" });
    expect(livenessStep("suspect", "registry_restarted")).toMatchObject({ to: "unknown" });
    expect(livenessStep("offline", "registry_restarted")).toMatchObject({ to: "offline" });
    expect(livenessStep("unknown", "hello")).toMatchObject({ to: "online" });
    expect(livenessStep("unknown", "grace_ended")).toMatchObject({ to: "offline" });
  });

  it("DESIGN-4: a late verdict does not hit an agent that is back", () => {
    expect(livenessStep("online", "grace_ended")).toMatchObject({ kind: "rejected", reason: "not_due" });
  });

  it("DESIGN-4: a beat revives a silent agent, but one that was given up has to say hello", () => {
    expect(livenessStep("suspect", "beat")).toMatchObject({ to: "online" });
    expect(livenessStep("offline", "beat")).toMatchObject({ reason: "hello_first" });
  });

  it("DESIGN-4: 5 s by default, stretched with the fleet, TTL three intervals", () => {
    expect([1, 1000, 10_000, 1e9].map((size) => heartbeatIntervalMs(size, 1000))).toEqual([5000, 5000, 10_000, 60_000]);
    expect(ttlMs(5000)).toBe(15_000);
    expect(deadlines(1000, 5000, GRACE)).toEqual({ suspectAtMs: 16_000, offlineAtMs: 46_000 });
  });

  it("DESIGN-4: the configured interval is the shortest, and may be longer than the longest", () => {
    expect([1, 1000, 10_000].map((held) => heartbeatIntervalMs(held, 1000, 400))).toEqual([400, 1000, 10_000]);
    expect(heartbeatIntervalMs(1, 1000, 300_000)).toBe(300_000);
  });

  it("DESIGN-4: agents that are sent away return spread, and before they would be suspect", () => {
    expect([1, 1000, 5000, 1e6].map((held) => reconnectWithinMs(held, 1000, 5000))).toEqual([2000, 2000, 5000, 10_000]);
    expect(reconnectWithinMs(1, 1000, 400)).toBe(800);
  });

  it("DESIGN-4: the lateness of the sweep is added to every deadline", () => {
    const online: SweptAgent = { status: "online", lastHeardAtMs: 0, doubtedSinceMs: null, intervalMs: 5000 };
    const at = (nowMs: number, latenessMs: number, agent = online) =>
      sweepVerdict(agent, { nowMs, latenessMs, graceMs: GRACE });
    expect([at(14_999, 0), at(15_000, 0), at(15_000, 1), at(15_001, 1)]).toEqual([
      null,
      "ttl_missed",
      null,
      "ttl_missed",
    ]);
    const suspect: SweptAgent = { ...online, status: "suspect", doubtedSinceMs: 15_000 };
    expect([at(44_999, 0, suspect), at(45_000, 0, suspect), at(45_000, 9, suspect)]).toEqual([
      null,
      "grace_ended",
      null,
    ]);
    expect(at(1e9, 0, { ...online, status: "offline" })).toBeNull();
  });
});

describe("the mass-loss brake", () => {
  const input = { losses: 0, fleetSize: 1000, engagedSinceMs: null, nowMs: 0, graceMs: GRACE, confirmed: false };

  it("DESIGN-4: engages above 15 % and at 10 agents or more", () => {
    expect(massLossBrake({ ...input, losses: 150 }).kind).toBe("released");
    expect(massLossBrake({ ...input, losses: 151 })).toMatchObject({ kind: "engaged", sinceMs: 0, allowedVerdicts: 1 });
    expect(massLossBrake({ ...input, losses: 9, fleetSize: 9 }).kind).toBe("released");
    expect(massLossBrake({ ...input, losses: 10, fleetSize: 10 }).kind).toBe("engaged");
  });

  it("DESIGN-4: ends after three graces, and does not engage again for the same losses", () => {
    const held = { ...input, losses: 500, engagedSinceMs: 0 };
    expect(massLossBrake({ ...held, nowMs: 3 * GRACE - 1 }).kind).toBe("engaged");
    const over = massLossBrake({ ...held, nowMs: 3 * GRACE });
    expect(over).toEqual({ kind: "released", allowedVerdicts: 500, sinceMs: 0 });
    expect(massLossBrake({ ...held, nowMs: 3 * GRACE + 1, engagedSinceMs: over.sinceMs }).kind).toBe("released");
  });

  it("DESIGN-4: operators can confirm the losses", () => {
    expect(massLossBrake({ ...input, losses: 500, confirmed: true }).kind).toBe("released");
  });

  it("the few verdicts that pass do not release all the others", () => {
    expect(massLossBrake({ ...input, losses: 150, engagedSinceMs: 0, nowMs: 1 }).kind).toBe("engaged");
    expect(massLossBrake({ ...input, losses: 75, engagedSinceMs: 0, nowMs: 1 })).toEqual({
      kind: "released",
      allowedVerdicts: 75,
      sinceMs: null,
    });
    const rest = { ...input, engagedSinceMs: 0, nowMs: 1, fleetSize: 9 };
    expect(massLossBrake({ ...rest, losses: 4 }).kind).toBe("released");
    expect(massLossBrake({ ...rest, losses: 4, passed: 3 })).toMatchObject({ kind: "engaged", allowedVerdicts: 1 });
  });

  it("holds between two verdicts, while more of the same loss follow", () => {
    const between = { ...input, losses: 0, imminent: 9, passed: 3, engagedSinceMs: 0, nowMs: 1, fleetSize: 9 };
    expect(massLossBrake(between)).toMatchObject({ kind: "engaged", sinceMs: 0, allowedVerdicts: 0 });
    expect(massLossBrake({ ...between, imminent: 0 })).toEqual({ kind: "released", allowedVerdicts: 0, sinceMs: null });
    // It does not begin before the first.
    expect(massLossBrake({ ...between, engagedSinceMs: null }).kind).toBe("released");
  });
});
