import { describe, expect, it } from "vitest";
import { freeCapacity, unreservedAttempts } from "./capacity.ts";
import { card, dimension, GIB, held, sample, use } from "./fixtures.test-helper.ts";

const whole = (cardId: string) => ({ cardId, vramMib: 0, exclusive: true });
const part = (cardId: string, vramMib: number) => ({ cardId, vramMib, exclusive: false });

describe("free capacity", () => {
  it("R-CAP-3: no sample yet means zeros, not an error", () => {
    const room = freeCapacity(null, [held("a", { cpuMillicores: 1000 })]);
    expect(room.sampled).toBe(false);
    expect([room.cpu.free, room.memory.free, room.vram.free, room.cards.length]).toEqual([0, 0, 0, 0]);
  });

  it("DESIGN-3: what the owner's programs use is foreign and never given away", () => {
    const room = freeCapacity(sample({ cpu: dimension(8000, { available: 3000 }) }), []);
    expect(room.cpu).toMatchObject({ foreign: 5000, held: 0, free: 3000 });
  });

  it("DESIGN-3: a promise counts before a sample shows it", () => {
    const room = freeCapacity(sample(), [held("a", { cpuMillicores: 3000 })]);
    expect(room.cpu.free).toBe(5000);
  });

  it("DESIGN-3: a promise and its measured use are not counted twice", () => {
    const used = sample({
      cpu: dimension(8000, { available: 6000 }),
      attempts: [use("a", { cpuMillicores: 2000 })],
    });
    const room = freeCapacity(used, [held("a", { cpuMillicores: 3000 })]);
    expect(room.cpu).toMatchObject({ foreign: 0, held: 3000, free: 5000 });
  });

  it("DESIGN-3: use beyond the promise counts in full", () => {
    const used = sample({
      cpu: dimension(8000, { available: 3000 }),
      attempts: [use("a", { cpuMillicores: 5000 })],
    });
    expect(freeCapacity(used, [held("a", { cpuMillicores: 2000 })]).cpu.free).toBe(3000);
  });

  it("DESIGN-3: room is back the moment a reservation ends, before the next sample", () => {
    const used = sample({
      cpu: dimension(8000, { available: 4000 }),
      attempts: [use("a", { cpuMillicores: 3000 })],
    });
    expect(freeCapacity(used, [held("a", { cpuMillicores: 3000 })]).cpu.free).toBe(4000);
    expect(freeCapacity(used, []).cpu).toMatchObject({ foreign: 1000, free: 7000 });
  });

  it("DESIGN-3: the offer bounds what Headroom may have, whatever is idle", () => {
    const offered = sample({ cpu: dimension(8000, { offer: 4000 }) });
    expect(freeCapacity(offered, [held("a", { cpuMillicores: 1000 })]).cpu).toMatchObject({
      ceiling: 4000,
      free: 3000,
    });
    const busy = sample({ cpu: dimension(8000, { offer: 4000, available: 2000 }) });
    expect(freeCapacity(busy, []).cpu.free).toBe(2000);
  });

  it("DESIGN-3: declared resources have nothing foreign", () => {
    const declared = sample({ cpu: dimension(8000, { available: 0, declared: true }) });
    expect(freeCapacity(declared, [held("a", { cpuMillicores: 2000 })]).cpu).toMatchObject({ foreign: 0, free: 6000 });
  });

  it("never goes below zero when more is used than there is", () => {
    const over = sample({ cpu: dimension(1000, { available: 0 }), attempts: [use("a", { cpuMillicores: 9000 })] });
    expect(freeCapacity(over, [held("a", { cpuMillicores: 1000 })]).cpu.free).toBe(0);
  });

  it("DESIGN-3: VRAM that others use is never given away, card by card", () => {
    const cards = [card(0, { vramAvailableMib: 3 * GIB }), card(1)];
    const room = freeCapacity(sample({ cards }), [held("a", { cards: [part("card-1", 2 * GIB)] })]);
    expect(room.cards.map((one) => one.free)).toEqual([3 * GIB, 6 * GIB]);
    expect(room.vram).toMatchObject({ total: 16 * GIB, free: 9 * GIB, foreign: 5 * GIB });
    expect(room.cards.map((one) => one.occupied)).toEqual([false, true]);
  });

  it("DESIGN-3: a card held whole has nothing left for others", () => {
    const room = freeCapacity(sample({ cards: [card(0), card(1)] }), [held("a", { cards: [whole("card-0")] })]);
    expect(room.cards.map((one) => [one.free, one.exclusivelyHeld])).toEqual([
      [0, true],
      [8 * GIB, false],
    ]);
  });

  it("charges an attempt for the card it uses, not only for the one it was given", () => {
    const attempts = [use("a", { cards: [part("card-1", GIB)] })];
    const cards = [card(0), card(1, { vramAvailableMib: 7 * GIB })];
    const room = freeCapacity(sample({ cards, attempts }), [held("a", { cards: [part("card-0", 2 * GIB)] })]);
    expect(room.cards.map((one) => [one.free, one.occupied])).toEqual([
      [6 * GIB, true],
      [7 * GIB, true],
    ]);
  });

  it("takes the VRAM of a card with shared memory from the machine's memory too", () => {
    const cards = [card(0, { sharedMemory: true, vramTotalMib: 24 * GIB })];
    const idle = sample({ memory: dimension(32 * GIB), cards });
    const room = freeCapacity(idle, [held("a", { memoryMib: 4 * GIB, cards: [part("card-0", 10 * GIB)] })]);
    expect(room.memory.free).toBe(18 * GIB);
    expect(room.cards[0]?.free).toBe(14 * GIB);
    const full = freeCapacity(idle, [held("a", { memoryMib: 30 * GIB })]);
    expect(full.cards[0]?.free).toBe(2 * GIB);
  });

  it("names the attempts that run without a reservation", () => {
    const running = sample({ attempts: [use("a", {}), use("b", {})] });
    expect(unreservedAttempts(running, [held("a", {})]).map((attempt) => attempt.attemptId)).toEqual(["b"]);
  });
});
