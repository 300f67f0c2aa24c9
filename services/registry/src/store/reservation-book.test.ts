/** The book against a plain map. A failure prints its seed. */
import { TOMBSTONE_MS } from "@headroom/scheduling";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reservationWith } from "../test-agents.test-helper.ts";
import { ReservationBook } from "./reservation-book.ts";
import type { StoredReservation } from "./stored-agent.ts";

const anyChange = fc.record({
  // More ids than tombstones lie apart, so that histories join them.
  attemptId: fc.nat(200).map((number) => `a${number}`),
  what: fc.constantFrom("hold", "end", "end", "leave"),
});
const anyHistory = fc.array(fc.array(anyChange, { maxLength: 40 }), { maxLength: 20 });

function changesOf(changes: readonly { attemptId: string; what: string }[], nowMs: number) {
  return new Map(
    changes.map(({ attemptId, what }): [string, StoredReservation | null] => {
      if (what === "leave") return [attemptId, null];
      if (what === "hold") return [attemptId, reservationWith({ attemptId })];
      return [attemptId, reservationWith({ attemptId, state: "released", releasedAtMs: nowMs })];
    }),
  );
}

const byId = (rows: Iterable<StoredReservation>) => [...rows].toSorted((a, b) => (a.attemptId < b.attemptId ? -1 : 1));

describe("ReservationBook", () => {
  it("holds what a plain map would, after any history, and tells what changed", () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const plain = new Map<string, StoredReservation>();
        let book = ReservationBook.EMPTY;
        history.forEach((step, nowMs) => {
          const changes = changesOf(step, nowMs);
          const before = book;
          const seen = byId(before.values());
          book = book.with(changes, nowMs);
          for (const [attemptId, row] of changes) {
            if (row === null) plain.delete(attemptId);
            else plain.set(attemptId, row);
          }
          expect(byId(book.values())).toEqual(byId(plain.values()));
          expect(byId(book.held())).toEqual(byId([...plain.values()].filter(({ state }) => state !== "released")));
          expect(book.size).toBe(plain.size);
          expect(book.changesSince(before)).toEqual([...changes.keys()]);
          for (const attemptId of changes.keys()) expect(book.get(attemptId)).toBe(plain.get(attemptId));
          // Values: what was made from a book does not change it.
          expect(byId(before.values())).toEqual(seen);
        });
        expect(ReservationBook.of(plain.values()).size).toBe(plain.size);
      }),
    );
  });

  it("after a read of what is new it is what a read of all would give", () => {
    fc.assert(
      fc.property(anyHistory, fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }), (history, readings) => {
        const plain = new Map<string, StoredReservation>();
        const left = new Set<string>();
        let book = ReservationBook.EMPTY;
        let readAtMs = 0;
        for (const [nowMs, step] of history.entries()) {
          for (const [attemptId, row] of changesOf(step, nowMs)) {
            if (row === null) plain.delete(attemptId);
            // A tombstone that changes is as new as its change.
            else plain.set(attemptId, { ...row, fence: nowMs });
            if (row === null) left.add(attemptId);
            else left.delete(attemptId);
          }
          if (readings[nowMs] !== true) continue;
          const read = [...plain.values()].filter(
            ({ state, releasedAtMs }) => state !== "released" || (releasedAtMs ?? 0) >= readAtMs,
          );
          book = book.renewed(ReservationBook.of(read), left, nowMs);
          expect(byId(book.values())).toEqual(byId(plain.values()));
          expect(book.size).toBe(plain.size);
          readAtMs = nowMs;
          left.clear();
        }
      }),
    );
  });

  it("lets go of tombstones that are too old, and says of which", () => {
    const ended = (number: number, releasedAtMs: number) =>
      reservationWith({ attemptId: `a${number}`, state: "released", releasedAtMs });
    const first = ReservationBook.of([ended(0, 0), reservationWith({ attemptId: "held" })]);
    const later = Array.from({ length: 100 }, (_, number) => ended(1 + number, TOMBSTONE_MS + 1));
    const book = first.with(new Map(later.map((row) => [row.attemptId, row])), TOMBSTONE_MS + 1);
    expect(book.has("a0")).toBe(false);
    expect(book.size).toBe(101);
    expect(book.changesSince(first)).toContain("a0");
    expect(first.has("a0")).toBe(true);
  });

  it("a book that was not made from another one does not say what changed", () => {
    const book = ReservationBook.of([]);
    expect(book.changesSince(ReservationBook.EMPTY)).toBeNull();
    expect(book.with(new Map(), 0).with(new Map(), 0).changesSince(book)).toBeNull();
  });
});
