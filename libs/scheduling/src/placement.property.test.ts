/** Properties of fit, explain and placement, over whole fleets. A failure prints its seed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { agentView } from "./agent-view.ts";
import { anyFleet, anyNeeds, anyReservations, anySample } from "./arbitraries.test-helper.ts";
import type { HeldRoom, Room } from "./capacity.ts";
import { estimateRoom } from "./estimate.ts";
import { explain } from "./explain.ts";
import { fit } from "./fit.ts";
import { desktop, untaughtPolicy } from "./fixtures.test-helper.ts";
import { placeBatch, type PlaceRequest } from "./placement.ts";
import { candidatesAmong } from "./placement-board.ts";
import { RULES } from "./placement/index.ts";
import type { Amounts, Sample } from "./resources.ts";

const BEST_FIT = untaughtPolicy("best-fit");

describe("fit and explain", () => {
  it("DESIGN-3: never means that not even the idle, willing machine would do", () => {
    fc.assert(
      fc.property(anySample, anyReservations, anyNeeds, (sample, reservations, needs) => {
        const view = desktop("a", { sample, reservations, cordoned: true });
        const found = fit(view, needs);
        const idle: Sample = {
          ...sample,
          cpu: { ...sample.cpu, available: sample.cpu.total },
          memory: { ...sample.memory, available: sample.memory.total },
          cards: sample.cards.map((card) => ({ ...card, vramAvailableMib: card.vramTotalMib })),
          attempts: [],
        };
        const best = fit(desktop("a", { sample: idle }), needs);
        expect(found.kind === "no" && found.never).toBe(best.kind === "no");
      }),
      { numRuns: 500 },
    );
  });

  it("DESIGN-3: explain, fit and placement agree", () => {
    fc.assert(
      fc.property(anyFleet, anyNeeds, (fleet, needs) => {
        const candidates = candidatesAmong(fleet, needs).map(({ view }) => view.agentId);
        const explained = explain(fleet, needs, {}, 100);
        const [placed] = placeBatch(fleet, [{ attemptId: "new", needs }], BEST_FIT, { random: 0 });
        const fitting = explained.agents.filter(({ verdict }) => verdict === "fits").map(({ agentId }) => agentId);
        expect(fitting.toSorted()).toEqual(candidates.toSorted());
        expect(explained.verdict === "fits").toBe(candidates.length > 0);
        expect(explained.reason === null).toBe(candidates.length > 0);
        expect(placed?.kind === "reserved").toBe(candidates.length > 0);
        if (placed?.kind === "reserved") expect(candidates).toContain(placed.agentId);
        for (const { verdict, misses, sentence } of explained.agents) {
          expect(misses.length === 0).toBe(verdict === "fits");
          expect(sentence === null).toBe(verdict === "fits");
        }
      }),
    );
  });

  it("DESIGN-3: no shortage is said to be 0.0", () => {
    fc.assert(
      fc.property(anyFleet, anyNeeds, (fleet, needs) => {
        for (const { sentence } of explain(fleet, needs, {}, 100).agents) expect(sentence ?? "").not.toMatch(/^0\.0 /);
      }),
    );
  });

  it("R-CAP-9: an estimate comes true when the known ends do", () => {
    fc.assert(
      fc.property(anyFleet, anyNeeds, (fleet, needs) => {
        const estimate = estimateRoom(fleet, needs, 0);
        if (estimate === null) return;
        const agent = fleet.find((view) => view.agentId === estimate.agentId);
        if (agent === undefined) throw new Error("an estimate names an agent of the fleet");
        const isOver = ({ expectedEndAtMs }: HeldRoom) =>
          expectedEndAtMs !== null && expectedEndAtMs <= estimate.earliestMs;
        const then = agentView({ ...agent, reservations: agent.reservations.filter((held) => !isOver(held)) });
        expect(fit(then, needs).kind).toBe("fits");
        expect(estimate.latestMs).toBeGreaterThanOrEqual(estimate.earliestMs);
      }),
    );
  });
});

describe("placeBatch", () => {
  const anyRequests = fc.array(fc.record({ needs: anyNeeds, group: fc.constantFrom(null, null, "g", "h") }), {
    maxLength: 12,
  });
  const numbered = (requests: readonly Omit<PlaceRequest, "attemptId">[]): readonly PlaceRequest[] =>
    requests.map((request, index) => ({ ...request, attemptId: `new-${index}` }));

  it.each([...RULES.keys()].map((name) => untaughtPolicy(name)))(
    "DESIGN-3: $name never promises more than is free, per dimension and card",
    (policy) => {
      fc.assert(
        fc.property(anyFleet, anyRequests, (fleet, requests) => {
          const placements = placeBatch(fleet, numbered(requests), policy, { random: 0 });
          expect(placements.map(({ attemptId }) => attemptId)).toEqual(
            numbered(requests).map(({ attemptId }) => attemptId),
          );
          for (const { agentId, room } of fleet) {
            const given = placements.flatMap((one) =>
              one.kind === "reserved" && one.agentId === agentId ? [one.amounts] : [],
            );
            expectWithin(room, given);
          }
        }),
      );
    },
  );

  it("DESIGN-3: a group is placed whole or not at all", () => {
    fc.assert(
      fc.property(anyFleet, anyRequests, (fleet, requests) => {
        const all = numbered(requests);
        const placements = placeBatch(fleet, all, BEST_FIT, { random: 0 });
        for (const group of ["g", "h"]) {
          const kinds = placements.filter((_, index) => all[index]?.group === group).map(({ kind }) => kind);
          expect(new Set(kinds).size).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});

/** What was given fits into what was free, computed here without the code under test. */
function expectWithin(room: Room, given: readonly Amounts[]): void {
  const sum = (amountOf: (amounts: Amounts) => number): number =>
    given.reduce((total, amounts) => total + amountOf(amounts), 0);
  const onCards = (amounts: Amounts, isCounted: (cardId: string) => boolean): number =>
    amounts.cards.reduce((total, card) => total + (isCounted(card.cardId) ? card.vramMib : 0), 0);
  const shared = new Set(room.cards.filter((card) => card.sharedMemory).map((card) => card.cardId));
  expect(sum(({ cpuMillicores }) => cpuMillicores)).toBeLessThanOrEqual(room.cpu.free);
  expect(sum((one) => one.memoryMib + onCards(one, (id) => shared.has(id)))).toBeLessThanOrEqual(room.memory.free);
  for (const { cardId, free, occupied } of room.cards) {
    const here = given.flatMap((amounts) => amounts.cards.filter((card) => card.cardId === cardId));
    expect(here.reduce((total, card) => total + card.vramMib, 0)).toBeLessThanOrEqual(free);
    if (here.some((card) => card.exclusive)) {
      expect(here).toHaveLength(1);
      expect(occupied).toBe(false);
    }
  }
}
