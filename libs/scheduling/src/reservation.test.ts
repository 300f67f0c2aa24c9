import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { amounts } from "./fixtures.test-helper.ts";
import type {
  HoldEvent,
  ReservationEvent,
  ReservationOutcome,
  ReserveEvent,
  SampledEvent,
} from "./reservation-events.ts";
import { reservationStep } from "./reservation-step.ts";
import { holdsRoom, TOMBSTONE_MS, unconfirmedLeaseMs, type Reservation, type ReservationState } from "./reservation.ts";

const NOW = 1_000_000;
const LEASE = 30_000;

const reserve = (fields: Partial<ReserveEvent> = {}): ReserveEvent => ({
  type: "reserve",
  attemptId: "t",
  agentId: "a",
  fence: 5,
  shape: "s",
  reserved: amounts({ cpuMillicores: 1000 }),
  expectedEndAtMs: null,
  leaseMs: LEASE,
  ...fields,
});
const hold = (fields: Partial<HoldEvent> = {}): HoldEvent => ({ ...reserve(), ...fields, type: "hold" });
const sampled = (fields: Partial<SampledEvent> = {}): SampledEvent => ({
  type: "sampled",
  attemptId: "t",
  agentId: "a",
  fence: 5,
  used: amounts({ cpuMillicores: 700 }),
  ...fields,
});

/** A reservation in a state, fence 5, shape "s", on agent "a". */
function inState(state: ReservationState): Reservation {
  const leased = state === "unconfirmed" || state === "hold";
  return {
    attemptId: "t",
    agentId: "a",
    state,
    fence: 5,
    shape: state === "adopted" ? null : "s",
    reserved: amounts({ cpuMillicores: 1000 }),
    expectedEndAtMs: null,
    leaseExpiresAtMs: leased ? NOW + 10 : null,
    releasedAtMs: state === "released" ? NOW - 10 : null,
  };
}

/** "change:state", "reason", "unchanged" or "forgotten". */
function brief(outcome: ReservationOutcome): string {
  if (outcome.kind === "changed") return `${outcome.change}:${outcome.reservation.state}`;
  return outcome.kind === "rejected" ? outcome.reason : outcome.kind;
}

const EVENTS: { readonly [name: string]: ReservationEvent } = {
  "reserve lower": reserve({ fence: 4 }),
  "reserve same": reserve(),
  "reserve higher": reserve({ fence: 6 }),
  "reserve other": reserve({ fence: 6, shape: "other" }),
  "hold same": hold(),
  "renew lower": { type: "renew", fence: 4, leaseMs: LEASE },
  "renew same": { type: "renew", fence: 5, leaseMs: LEASE },
  "renew higher": { type: "renew", fence: 6, leaseMs: LEASE },
  sampled: sampled(),
  "sampled elsewhere": sampled({ agentId: "b" }),
  "omitted by hello": { type: "omitted", by: "hello" },
  "omitted by beat": { type: "omitted", by: "beat" },
  "release lower": { type: "release", fence: 4 },
  "release same": { type: "release", fence: 5 },
  "release higher": { type: "release", fence: 6 },
  expire: { type: "expire" },
};

type Row = readonly string[];

/** Rows in the order of EVENTS. The leases of `inState` have not run out. */
const TABLE: { readonly [S in ReservationState | "nothing"]: Row } = {
  nothing: [
    ...["reserved:unconfirmed", "reserved:unconfirmed", "reserved:unconfirmed", "reserved:unconfirmed", "held:hold"],
    ...["NOT_RESERVED", "NOT_RESERVED", "NOT_RESERVED"],
    ...["adopted:adopted", "adopted:adopted", "unchanged", "unchanged"],
    ...["unchanged", "unchanged", "unchanged", "unchanged"],
  ],
  unconfirmed: [
    ...["STALE_FENCE", "renewed:unconfirmed", "taken_over:unconfirmed", "ALREADY_EXISTS", "renewed:unconfirmed"],
    ...["STALE_FENCE", "renewed:unconfirmed", "taken_over:unconfirmed"],
    ...["confirmed:confirmed", "RESERVED_ELSEWHERE", "unchanged", "unchanged"],
    ...["STALE_FENCE", "released:released", "released:released", "unchanged"],
  ],
  confirmed: [
    ...["STALE_FENCE", "renewed:confirmed", "taken_over:confirmed", "ALREADY_EXISTS", "renewed:confirmed"],
    ...["STALE_FENCE", "unchanged", "taken_over:confirmed"],
    ...["unchanged", "RESERVED_ELSEWHERE", "omitted:released", "omitted:released"],
    ...["STALE_FENCE", "released:released", "released:released", "unchanged"],
  ],
  adopted: [
    ...["STALE_FENCE", "renewed:adopted", "taken_over:adopted", "taken_over:adopted", "renewed:adopted"],
    ...["STALE_FENCE", "unchanged", "taken_over:adopted"],
    ...["unchanged", "RESERVED_ELSEWHERE", "omitted:released", "omitted:released"],
    ...["STALE_FENCE", "released:released", "released:released", "unchanged"],
  ],
  hold: [
    ...["STALE_FENCE", "reserved:unconfirmed", "reserved:unconfirmed", "ALREADY_EXISTS", "renewed:hold"],
    ...["STALE_FENCE", "renewed:hold", "taken_over:hold"],
    ...["confirmed:confirmed", "RESERVED_ELSEWHERE", "unchanged", "unchanged"],
    ...["STALE_FENCE", "released:released", "released:released", "unchanged"],
  ],
  released: [
    ...["STALE_FENCE", "RESERVATION_ENDED", "reserved:unconfirmed", "ALREADY_EXISTS", "RESERVATION_ENDED"],
    ...["STALE_FENCE", "RESERVATION_ENDED", "RESERVATION_ENDED"],
    ...["adopted:adopted", "adopted:adopted", "unchanged", "unchanged"],
    ...["STALE_FENCE", "unchanged", "released:released", "unchanged"],
  ],
};

describe("reservations", () => {
  // The key types of an object literal are lost in Object.entries.
  describe.each(Object.entries(TABLE) as [ReservationState | "nothing", Row][])("from %s", (state, row) => {
    it.each(Object.keys(EVENTS).map((name, index) => [name, row[index]]))("DESIGN-3: %s gives %s", (name, expected) => {
      const event = EVENTS[name ?? ""];
      if (event === undefined) throw new Error(`no event ${name}`);
      expect(brief(reservationStep(state === "nothing" ? null : inState(state), event, NOW))).toBe(expected);
    });
  });

  it("DESIGN-3: an unconfirmed lease is 30 s or two heartbeat intervals", () => {
    expect([unconfirmedLeaseMs(5000), unconfirmedLeaseMs(60_000)]).toEqual([30_000, 120_000]);
  });

  it.each(["unconfirmed", "hold"] as const)("DESIGN-3: a lease of %s room ends at its time, not before", (state) => {
    const reservation = inState(state);
    expect(brief(reservationStep(reservation, { type: "expire" }, NOW + 9))).toBe("unchanged");
    expect(brief(reservationStep(reservation, { type: "expire" }, NOW + 10))).toBe("expired:released");
  });

  it.each(["confirmed", "adopted"] as const)("DESIGN-3: %s room never expires", (state) => {
    expect(brief(reservationStep(inState(state), { type: "expire" }, NOW + 1e12))).toBe("unchanged");
  });

  it("DESIGN-3: tombstones stay for 10 minutes", () => {
    const released = inState("released");
    expect(brief(reservationStep(released, { type: "expire" }, NOW - 10 + TOMBSTONE_MS - 1))).toBe("unchanged");
    expect(brief(reservationStep(released, { type: "expire" }, NOW - 10 + TOMBSTONE_MS))).toBe("forgotten");
  });

  it("a renewal lengthens a lease and never shortens it", () => {
    const renewed = reservationStep(inState("unconfirmed"), { type: "renew", fence: 5, leaseMs: 1 }, NOW);
    expect(renewed).toMatchObject({ reservation: { leaseExpiresAtMs: NOW + 10 } });
    const longer = reservationStep(inState("unconfirmed"), { type: "renew", fence: 5, leaseMs: LEASE }, NOW);
    expect(longer).toMatchObject({ reservation: { leaseExpiresAtMs: NOW + LEASE } });
  });

  it("DESIGN-5: reserving again elsewhere answers with the agent that has the room", () => {
    expect(reservationStep(inState("confirmed"), reserve({ agentId: "b", fence: 6 }), NOW)).toMatchObject({
      kind: "changed",
      change: "taken_over",
      reservation: { agentId: "a", fence: 6, leaseExpiresAtMs: null },
    });
  });

  it("a tombstone whose fence rises is as new as that", () => {
    expect(reservationStep(inState("released"), { type: "release", fence: 6 }, NOW)).toMatchObject({
      reservation: { state: "released", fence: 6, releasedAtMs: NOW },
    });
  });

  it("DESIGN-3: an attempt released while it still runs is charged again, on its own terms", () => {
    expect(reservationStep(inState("released"), sampled({ fence: 3 }), NOW)).toMatchObject({
      change: "adopted",
      reservation: { state: "adopted", fence: 5, reserved: amounts({ cpuMillicores: 1000 }), releasedAtMs: null },
    });
    expect(reservationStep(inState("released"), sampled({ agentId: "b" }), NOW)).toMatchObject({
      reservation: { agentId: "b", reserved: amounts({ cpuMillicores: 700 }) },
    });
  });

  it("DESIGN-3: fences never fall, tombstones hold no room, and leaked room comes back by itself", () => {
    const anyEvent = fc.record({
      event: fc.constantFrom(...Object.values(EVENTS)),
      fence: fc.integer({ min: 1, max: 9 }),
      afterMs: fc.integer({ min: 0, max: 20_000 }),
    });
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40 }), (history) => {
        let reservation: Reservation | null = null;
        let nowMs = NOW;
        for (const { event, fence, afterMs } of history) {
          nowMs += afterMs;
          const before: Reservation | null = reservation;
          const outcome = reservationStep(before, "fence" in event ? { ...event, fence } : event, nowMs);
          if (outcome.kind === "forgotten") reservation = null;
          if (outcome.kind !== "changed") continue;
          reservation = outcome.reservation;
          if (before !== null) expect(reservation.fence).toBeGreaterThanOrEqual(before.fence);
          const isLeased = reservation.state === "unconfirmed" || reservation.state === "hold";
          expect(reservation.leaseExpiresAtMs !== null).toBe(isLeased);
          expect(reservation.releasedAtMs !== null).toBe(!holdsRoom(reservation));
        }
        // Nobody speaks of it any more, and the agent's Hello does not list it: its room is free in the end.
        const ends: readonly ReservationEvent[] = [{ type: "omitted", by: "hello" }, { type: "expire" }];
        for (const event of ends) {
          const outcome = reservationStep(reservation, event, nowMs + LEASE);
          if (outcome.kind === "changed") reservation = outcome.reservation;
        }
        expect(reservation === null || !holdsRoom(reservation)).toBe(true);
      }),
    );
  });
});
