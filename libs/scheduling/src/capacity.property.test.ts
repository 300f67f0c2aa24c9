/** Properties of capacity arithmetic, over whole histories. A failure prints its seed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { withReservation } from "./agent-view.ts";
import { anyAmounts, anyReservations, anySample, ATTEMPT_IDS } from "./arbitraries.test-helper.ts";
import { freeCapacity, type Room } from "./capacity.ts";
import { desktop } from "./fixtures.test-helper.ts";
import type { ReservationEvent } from "./reservation-events.ts";
import { reservationStep } from "./reservation-step.ts";
import { holdsRoom, type Reservation } from "./reservation.ts";
import type { Sample } from "./resources.ts";

function roomsOf(room: Room) {
  return [room.cpu, room.memory, ...room.cards];
}

describe("capacity arithmetic", () => {
  it("DESIGN-3: free is never negative and never exceeds min(total − foreign, offer)", () => {
    fc.assert(
      fc.property(anySample, anyReservations, (sample, reservations) => {
        for (const { free, total, foreign, offer } of roomsOf(freeCapacity(sample, reservations))) {
          expect(free).toBeGreaterThanOrEqual(0);
          expect(free).toBeLessThanOrEqual(Math.max(0, Math.min(total - foreign, offer)));
        }
      }),
    );
  });

  it("DESIGN-3: one more reservation never makes room, one less never takes any", () => {
    fc.assert(
      fc.property(anySample, anyReservations, (sample, reservations) => {
        const all = roomsOf(freeCapacity(sample, reservations));
        const fewer = roomsOf(freeCapacity(sample, reservations.slice(1)));
        all.forEach((room, index) => expect(fewer[index]?.free).toBeGreaterThanOrEqual(room.free));
      }),
    );
  });

  it("DESIGN-3: one reservation added to a view is what all of them are together", () => {
    fc.assert(
      fc.property(anySample, anyReservations, (sample, reservations) => {
        const one = desktop("a", { sample, reservations: [] });
        const added = reservations.reduce(withReservation, one);
        expect(added.room).toEqual(freeCapacity(sample, reservations));
      }),
      { numRuns: 500 },
    );
  });

  it("DESIGN-3: the order of reservations and of a sample's attempts does not matter", () => {
    fc.assert(
      fc.property(anySample, anyReservations, (sample, reservations) => {
        const turned = { ...sample, attempts: sample.attempts.toReversed() };
        expect(freeCapacity(turned, reservations.toReversed())).toEqual(freeCapacity(sample, reservations));
      }),
    );
  });

  it("DESIGN-3: no history of samples, reservations, renewals, releases and expiries loses room for ever", () => {
    const fence = fc.integer({ min: 1, max: 3 });
    const leaseMs = fc.integer({ min: 1, max: 100 });
    const spoken = fc.oneof(
      fc.record({ type: fc.constant("reserve" as const), fence, leaseMs, reserved: anyAmounts(fc.boolean()) }),
      fc.record({ type: fc.constant("hold" as const), fence, leaseMs, reserved: anyAmounts(fc.boolean()) }),
      fc.record({ type: fc.constant("renew" as const), fence, leaseMs }),
      fc.record({ type: fc.constant("release" as const), fence }),
      fc.record({ type: fc.constant("expire" as const) }),
      fc.record({ type: fc.constant("sample" as const), sample: anySample }),
    );
    const step = fc.record({ attemptId: fc.constantFrom(...ATTEMPT_IDS), afterMs: fc.nat(50), spoken });
    fc.assert(
      fc.property(anySample, fc.array(step, { maxLength: 30 }), (firstSample, history) => {
        let sample = firstSample;
        let nowMs = 0;
        const rows = new Map<string, Reservation>();
        const apply = (attemptId: string, event: ReservationEvent): void => {
          const outcome = reservationStep(rows.get(attemptId) ?? null, event, nowMs);
          if (outcome.kind === "changed") rows.set(attemptId, outcome.reservation);
          if (outcome.kind === "forgotten") rows.delete(attemptId);
        };
        const takeSample = (next: Sample): void => {
          sample = next;
          for (const { attemptId, fence, used } of next.attempts) {
            apply(attemptId, { type: "sampled", attemptId, agentId: "a", fence, used });
          }
          const listed = new Set(next.attempts.map((attempt) => attempt.attemptId));
          for (const attemptId of rows.keys())
            if (!listed.has(attemptId)) apply(attemptId, { type: "omitted", by: "beat" });
        };
        const room = (): Room => freeCapacity(sample, [...rows.values()].filter(holdsRoom));
        for (const { attemptId, afterMs, spoken: event } of history) {
          nowMs += afterMs;
          if (event.type === "sample") takeSample(event.sample);
          else if (event.type === "reserve" || event.type === "hold") {
            apply(attemptId, { ...event, attemptId, agentId: "a", shape: "s", expectedEndAtMs: null });
          } else apply(attemptId, event);
          for (const { free, total, foreign, offer } of roomsOf(room())) {
            expect(free).toBeGreaterThanOrEqual(0);
            expect(free).toBeLessThanOrEqual(Math.max(0, Math.min(total - foreign, offer)));
          }
        }
        // Everybody falls silent, all processes end, all leases run out: the machine is whole again.
        nowMs += 1000;
        takeSample({ ...firstSample, attempts: [] });
        for (const attemptId of [...rows.keys()]) apply(attemptId, { type: "expire" });
        expect(room()).toEqual(freeCapacity({ ...firstSample, attempts: [] }, []));
      }),
    );
  });
});
