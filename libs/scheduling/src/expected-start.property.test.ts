import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyFleet, anyNeeds } from "./arbitraries.test-helper.ts";
import {
  durationRange,
  type DurationRange,
  expectedStart,
  fitsWherever,
  remainingRange,
  type StartQuestion,
  typicalDurationMs,
} from "./estimate.ts";
import { fit } from "./fit.ts";
import { normalizeNeeds, type PartialNeeds } from "./needs.ts";

const nowMs = 1_000_000;
const expected = fc.option(fc.integer({ min: 1, max: 10_000_000 }), { nil: null });
const running = fc.array(
  fc.record({ expected, elapsed: fc.integer({ min: 0, max: 20_000_000 }) }).map((run) => ({
    ...remainingRange(run.expected, run.elapsed),
  })),
  { maxLength: 12 },
);
const questions: fc.Arbitrary<StartQuestion> = fc
  .record({
    nowMs: fc.constant(nowMs),
    ahead: fc.nat({ max: 60 }),
    surelyAhead: fc.nat({ max: 60 }),
    running,
    typicalMs: expected,
    shortestMs: expected,
    roomAtMs: fc.option(fc.integer({ min: nowMs - 5, max: nowMs + 10_000_000 }), { nil: null }),
  })
  .map((question) => ({ ...question, surelyAhead: Math.min(question.surelyAhead, question.ahead) }));

const nobodyAhead = { nowMs, ahead: 0, surelyAhead: 0, shortestMs: null };

const orEver = (ms: number | null | undefined): number => ms ?? Number.POSITIVE_INFINITY;

describe("expectedStart", () => {
  it("is never in the past and never negative", () => {
    fc.assert(
      fc.property(questions, (question) => {
        const range = expectedStart(question);
        if (range === null) return;
        expect(range.earliestMs).toBeGreaterThanOrEqual(nowMs);
        expect(orEver(range.latestMs)).toBeGreaterThanOrEqual(range.earliestMs);
      }),
    );
  });

  it("a place further back never starts earlier, at either end", () => {
    fc.assert(
      fc.property(questions, fc.nat({ max: 40 }), (question, further) => {
        const front = expectedStart(question);
        const surelyAhead = question.surelyAhead + further;
        const back = expectedStart({ ...question, ahead: question.ahead + further, surelyAhead });
        if (front === null || back === null) return;
        expect(back.earliestMs).toBeGreaterThanOrEqual(front.earliestMs);
        expect(orEver(back.latestMs)).toBeGreaterThanOrEqual(orEver(front.latestMs));
      }),
    );
  });

  it("grows with uncertainty: wider durations of what runs never narrow it", () => {
    const widened = fc.record({ low: fc.double({ min: 0, max: 1, noNaN: true }), more: fc.nat({ max: 1_000_000 }) });
    fc.assert(
      fc.property(questions, widened, (question, { low, more }) => {
        const wider = question.running.map((range): DurationRange => ({
          lowMs: range.lowMs * low,
          highMs: range.highMs === null ? null : range.highMs + more,
        }));
        const narrow = expectedStart(question);
        const wide = expectedStart({ ...question, running: wider });
        if (narrow === null || wide === null) return;
        expect(wide.earliestMs).toBeLessThanOrEqual(narrow.earliestMs);
        expect(orEver(wide.latestMs)).toBeGreaterThanOrEqual(orEver(narrow.latestMs));
        const unknown = expectedStart({ ...question, running: question.running.map(() => durationRange(null)) });
        expect(orEver(unknown?.latestMs)).toBeGreaterThanOrEqual(orEver(narrow.latestMs));
      }),
    );
  });

  it("with room now and nobody before it, it starts now", () => {
    expect(expectedStart({ ...nobodyAhead, running: [], typicalMs: null, roomAtMs: nowMs })).toEqual({
      earliestMs: nowMs,
      latestMs: nowMs,
    });
  });

  it("two places of 100 s each, three before it: the fourth start is after one more round", () => {
    const running: DurationRange[] = [
      { lowMs: 10_000, highMs: 10_000 },
      { lowMs: 50_000, highMs: 50_000 },
    ];
    const three = { nowMs, ahead: 3, running, typicalMs: 100_000, shortestMs: 100_000, roomAtMs: null };
    // Free at 10, 50, then (75 to 150 s later) at 85..160 and 125..200: the fourth of those.
    expect(expectedStart({ ...three, surelyAhead: 3 })).toEqual({
      earliestMs: nowMs + 125_000,
      latestMs: nowMs + 200_000,
    });
    // Those that may wait for other room count only where everything takes as long as it may; and those that run shorter than it are sooner over.
    expect(expectedStart({ ...three, surelyAhead: 0 })).toEqual({
      earliestMs: nowMs + 10_000,
      latestMs: nowMs + 200_000,
    });
    expect(expectedStart({ ...three, surelyAhead: 2, shortestMs: 10_000 })).toEqual({
      earliestMs: nowMs + 25_000,
      latestMs: nowMs + 200_000,
    });
  });

  it("nothing is known without room, runs or durations", () => {
    expect(expectedStart({ ...nobodyAhead, ahead: 2, running: [], typicalMs: 1, roomAtMs: nowMs + 5 })).toBeNull();
    expect(expectedStart({ ...nobodyAhead, running: [], typicalMs: null, roomAtMs: null })).toBeNull();
  });
});

describe("fitsWherever", () => {
  it("property: what needs no more than another has room on each agent on which that one has", () => {
    const more = fc.record({
      cpuMillicores: fc.nat({ max: 5 }),
      memoryMib: fc.nat({ max: 5 }),
      gpuCount: fc.nat({ max: 1 }),
      gpuVramMib: fc.nat({ max: 5 }),
      gpuExclusive: fc.boolean(),
      pool: fc.constantFrom(null, "lab"),
    });
    fc.assert(
      fc.property(anyFleet, anyNeeds, more, (fleet, needs, extra) => {
        const other = normalizeNeeds({
          ...needs,
          cpuMillicores: needs.cpuMillicores + extra.cpuMillicores,
          memoryMib: needs.memoryMib + extra.memoryMib,
          gpuCount: needs.gpuCount + extra.gpuCount,
          gpuVramMib: needs.gpuVramMib + extra.gpuVramMib,
          gpuExclusive: needs.gpuExclusive || extra.gpuExclusive,
          pool: needs.pool ?? extra.pool,
        });
        expect(fitsWherever(needs, other)).toBe(true);
        for (const view of fleet) if (fit(view, other).kind === "fits") expect(fit(view, needs).kind).toBe("fits");
      }),
      { numRuns: 500 },
    );
  });

  it("is never so where the other may be somewhere else", () => {
    const of = (asked: PartialNeeds) => normalizeNeeds(asked);
    expect(fitsWherever(of({}), of({ pool: "b" }))).toBe(true);
    expect(fitsWherever(of({ pool: "a" }), of({ pool: "b" }))).toBe(false);
    expect(fitsWherever(of({ pool: "a" }), of({}))).toBe(false);
    expect(fitsWherever(of({ agentId: "a" }), of({}))).toBe(false);
    expect(fitsWherever(of({ labels: { site: "x" } }), of({ labels: { site: "x", os: "linux" } }))).toBe(true);
    expect(fitsWherever(of({ labels: { site: "x" } }), of({ labels: { site: "y" } }))).toBe(false);
    expect(fitsWherever(of({ gpuCount: 1 }), of({}))).toBe(false);
    expect(fitsWherever(of({ gpuModels: ["4090"] }), of({ gpuModels: ["3080", "4090"] }))).toBe(false);
  });
});

describe("durations", () => {
  it("what is left is never negative, and one that is late is expected any moment", () => {
    expect(remainingRange(1_000, 0)).toEqual({ lowMs: 750, highMs: 1_500 });
    expect(remainingRange(1_000, 4_000)).toEqual({ lowMs: 0, highMs: 2_000 });
    fc.assert(
      fc.property(expected, fc.integer({ min: -5, max: 30_000_000 }), (ms, elapsed) => {
        const { lowMs, highMs } = remainingRange(ms, elapsed);
        expect(lowMs).toBeGreaterThanOrEqual(0);
        expect(orEver(highMs)).toBeGreaterThanOrEqual(lowMs);
      }),
    );
  });

  it("the typical one lies among those seen, and follows a change within a few runs", () => {
    expect(typicalDurationMs([])).toBeNull();
    expect(typicalDurationMs([...Array.from({ length: 5 }, () => 10), ...Array.from({ length: 11 }, () => 100)])).toBe(
      10,
    );
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 16 }), (recent) => {
        expect(recent).toContain(typicalDurationMs(recent));
      }),
    );
  });
});
