/** What has to end for a task to fit, against the plainest way to find it. A failure prints its seed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { agentView, type AgentView } from "./agent-view.ts";
import { anyAmounts, anyNeeds, anySample } from "./arbitraries.test-helper.ts";
import type { HeldRoom } from "./capacity.ts";
import { EndingRoom } from "./ending-room.ts";
import { estimateRoom } from "./estimate.ts";
import { fit, type FitOptions } from "./fit.ts";
import { desktop } from "./fixtures.test-helper.ts";
import { type Needs, normalizeNeeds } from "./needs.ts";
import type { Amounts, Dimension } from "./resources.ts";
import { endsThatMakeRoom } from "./unblock.ts";

const MAX_ATTEMPTS = 40;
const anyId = fc.nat({ max: 2 * MAX_ATTEMPTS }).map((number) => `t${number}`);
/** Several may end at one moment. */
const anyEnd = fc.option(fc.nat({ max: 50 }), { nil: null });
const isSeldom = fc.nat({ max: 9 }).map((number) => number === 0);

const anyHeld: fc.Arbitrary<HeldRoom> = fc.record({
  attemptId: anyId,
  reserved: anyAmounts(isSeldom),
  expectedEndAtMs: anyEnd,
});
const anyAttempt = fc.record({ attemptId: anyId, fence: fc.constant(1), used: anyAmounts(fc.constant(false)) });
const upToMany = { selector: ({ attemptId }: { attemptId: string }) => attemptId, maxLength: MAX_ATTEMPTS };

interface Question {
  readonly view: AgentView;
  readonly needs: Needs;
}

/** A machine that has about what is promised of it, and needs of about that size: so that some ends are enough, and not any. */
const anyQuestion: fc.Arbitrary<Question> = fc
  .record({
    sample: anySample,
    attempts: fc.uniqueArray(anyAttempt, upToMany),
    reservations: fc.uniqueArray(anyHeld, upToMany),
    needs: anyNeeds,
    needsPercent: fc.nat({ max: 100 }),
  })
  .map(({ sample, attempts, reservations, needs, needsPercent }) => {
    const promised = (amountOf: (amounts: Amounts) => number): number =>
      reservations.reduce((sum, { reserved }) => sum + amountOf(reserved), 0);
    const more = <D extends Dimension>(room: D, amount: number): D => ({
      ...room,
      total: room.total + amount,
      available: room.available + amount,
      offer: room.offer + amount,
    });
    const cards = sample.cards.map((card) => {
      const amount = promised(({ cards: on }) => on.find(({ cardId }) => cardId === card.cardId)?.vramMib ?? 0);
      const { vramTotalMib, vramAvailableMib, vramOfferMib } = card;
      return {
        ...card,
        vramTotalMib: vramTotalMib + amount,
        vramAvailableMib: vramAvailableMib + amount,
        vramOfferMib: vramOfferMib + amount,
      };
    });
    const cpu = more(
      sample.cpu,
      promised(({ cpuMillicores }) => cpuMillicores),
    );
    const memory = more(
      sample.memory,
      promised(({ memoryMib, cards: on }) => memoryMib + on.reduce((sum, { vramMib }) => sum + vramMib, 0)),
    );
    const part = (amount: number): number => Math.floor((amount * needsPercent) / 100);
    const asked = {
      ...needs,
      cpuMillicores: part(cpu.total),
      memoryMib: part(memory.total) >> 1,
      gpuCount: Math.min(needs.gpuCount, cards.length),
      gpuVramMib: part(Math.max(0, ...cards.map(({ vramTotalMib }) => vramTotalMib))) >> 1,
      gpuModels: [],
      pool: null,
    };
    return { view: desktop("a", { sample: { ...sample, cpu, memory, cards, attempts }, reservations }), needs: asked };
  });
const anyView = anyQuestion.map(({ view }) => view);

/** The same agent as if these attempts had ended. */
function withoutReservations(view: AgentView, ended: readonly HeldRoom[]): AgentView {
  const ids = new Set(ended.map(({ attemptId }) => attemptId));
  return agentView({ ...view, reservations: view.reservations.filter(({ attemptId }) => !ids.has(attemptId)) });
}

/** Tries each number of ends, and then to do without each of them. */
function plainEnds(view: AgentView, needs: Needs, options: FitOptions): readonly HeldRoom[] | null {
  const endOf = (held: HeldRoom): number => held.expectedEndAtMs ?? Number.MAX_SAFE_INTEGER;
  const inOrder = [...view.reservations].sort((a, b) => endOf(a) - endOf(b) || (a.attemptId < b.attemptId ? -1 : 1));
  const fitsWithout = (ended: readonly HeldRoom[]): boolean =>
    fit(withoutReservations(view, ended), needs, options).kind === "fits";
  const enough = inOrder.findIndex((_, last) => fitsWithout(inOrder.slice(0, last + 1)));
  if (enough < 0) return null;
  let needed = inOrder.slice(0, enough + 1);
  for (const held of inOrder.slice(0, enough)) {
    const without = needed.filter((other) => other !== held);
    if (fitsWithout(without)) needed = without;
  }
  return needed;
}

/** Tries each number of ends that are known. */
function plainEstimate(view: AgentView, needs: Needs, nowMs: number): number | null {
  if (fit(view, needs).kind === "fits") return nowMs;
  const known = view.reservations.filter(({ expectedEndAtMs }) => expectedEndAtMs !== null);
  const inOrder = known.sort((a, b) => (a.expectedEndAtMs ?? 0) - (b.expectedEndAtMs ?? 0));
  const last = inOrder.find(
    (_, index) => fit(withoutReservations(view, inOrder.slice(0, index + 1)), needs).kind === "fits",
  );
  return last === undefined ? null : Math.max(nowMs, last.expectedEndAtMs ?? 0);
}

const isRefused = (view: AgentView, needs: Needs): boolean => fit(view, needs).kind === "no";

describe("what has to end", () => {
  it("DESIGN-3: is what the plainest search finds, whole cards and shared memory included", () => {
    let found = 0;
    fc.assert(
      fc.property(anyQuestion, ({ view, needs }) => {
        fc.pre(isRefused(view, needs));
        const expected = plainEnds(view, needs, {});
        expect(endsThatMakeRoom(view, needs, {})).toEqual(expected);
        if ((expected?.length ?? 0) > 1) found += 1;
      }),
      { numRuns: 1_000 },
    );
    // Most of the questions would prove little, were they all of one end or none.

    expect(found).toBeGreaterThan(100);
  });

  it("DESIGN-3: holds again what holding them one by one would, from any place to any other", () => {
    const anyPlaces = fc.tuple(fc.nat({ max: MAX_ATTEMPTS }), fc.nat({ max: MAX_ATTEMPTS }), fc.nat({ max: 100 }));
    fc.assert(
      fc.property(anyQuestion, anyPlaces, ({ view }, [one, other, percent]) => {
        const rooms = [new EndingRoom(view), new EndingRoom(view)] as const;
        for (const room of rooms) room.endFewest(room.inOrder.length, () => false);
        const [from, to] = [Math.min(one, other), Math.max(one, other)].map((at) =>
          Math.min(at, rooms[0].inOrder.length),
        );
        const enoughMib = Math.floor((rooms[0].view.room.memory.free * percent) / 100);
        const holds = (then: AgentView): boolean => then.room.memory.free >= enoughMib;
        let place = from!;
        while (place < to! && rooms[0].holdAgain(place, place + 1, holds) > place) place += 1;
        expect(rooms[1].holdAgain(from!, to!, holds)).toBe(place);
        expect(rooms[1].view.room).toEqual(rooms[0].view.room);
      }),
      { numRuns: 500 },
    );
  });

  it("DESIGN-3: names only what has to end, however many others end before", () => {
    const total = 4_000_000;
    const cpu = { total, available: 0, offer: total, declared: false };
    const card = {
      cardId: "gpu-0",
      index: 0,
      model: "RTX 4090",
      vramTotalMib: 24_576,
      vramAvailableMib: 24_576,
      vramOfferMib: 24_576,
      declared: false,
      sharedMemory: false,
    };
    const small = Array.from({ length: 3_000 }, (_, index) => ({
      attemptId: `small-${String(index).padStart(4, "0")}`,
      reserved: { cpuMillicores: 1_000, memoryMib: 0, cards: [] },
      expectedEndAtMs: index,
    }));
    const onCard = {
      attemptId: "on the card",
      reserved: { cpuMillicores: 1_000, memoryMib: 0, cards: [{ cardId: "gpu-0", vramMib: 24_576, exclusive: false }] },
      expectedEndAtMs: 5_000,
    };
    const [sample] = fc.sample(anySample, 1);
    const view = desktop("a", {
      sample: { ...sample!, cpu: { ...cpu, available: total }, cards: [card], attempts: [] },
      reservations: [...small, onCard],
    });
    const gpuNeeds = normalizeNeeds({ cpuMillicores: 1_000, gpuVramMib: 8_192 });
    expect(endsThatMakeRoom(view, gpuNeeds, {})?.map(({ attemptId }) => attemptId)).toEqual(["on the card"]);
  });

  it("R-CAP-9: room is expected when the plainest search expects it", () => {
    let found = 0;
    fc.assert(
      fc.property(anyQuestion, fc.nat({ max: 20 }), ({ view, needs }, nowMs) => {
        const expected = plainEstimate(view, needs, nowMs);
        expect(estimateRoom([view], needs, nowMs)?.earliestMs ?? null).toBe(expected);
        if (expected !== null && expected > nowMs) found += 1;
      }),
      { numRuns: 1_000 },
    );

    expect(found).toBeGreaterThan(100);
  });

  it("DESIGN-3: the room once any of them have ended is the room without them", () => {
    fc.assert(
      fc.property(anyView, fc.array(fc.boolean(), { minLength: MAX_ATTEMPTS }), (view, again) => {
        const room = new EndingRoom(view);
        if (room.endFewest(room.inOrder.length, () => true) === null) return;
        const first = room.inOrder[0]!;
        expect(room.view.room).toEqual(withoutReservations(view, [first]).room);
        room.endFewest(room.inOrder.length, (then) => then.room.memory.held === 0);
        const ended = new EndingRoom(view);
        // Not even all of them: then all have ended, and some are held again.
        ended.endFewest(ended.inOrder.length, () => false);
        const left = ended.inOrder.filter(
          (_, place) => !(again[place] === true && ended.holdAgain(place, place + 1, () => true) > place),
        );
        expect(ended.view.room).toEqual(withoutReservations(view, left).room);
      }),
      { numRuns: 300 },
    );
  });
});
