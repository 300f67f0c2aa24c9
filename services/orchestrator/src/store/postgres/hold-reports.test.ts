import { manualPorts } from "@headroom/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { holdReports } from "./hold-reports.ts";
import type { Report } from "./reports.ts";

const atMostMs = 100;

function runs(attemptId: string, startedAtMs: number): Report {
  return { kind: "runs", attempt: { attemptId, fence: 1 }, agentId: "agent", startedAtMs };
}

function ends(attemptId: string, reason: string): Report {
  return {
    kind: "ends",
    attempt: { attemptId, fence: 1 },
    actor: "agent",
    told: {
      reason,
      exitCode: null,
      signal: "",
      sentence: "",
      startedAtMs: null,
      finishedAtMs: null,
      used: null,
      lastOutputSeq: null,
    },
    decide: () => ({ kind: "repeat" }),
    stillSo: () => true,
  };
}

function setUp() {
  const ports = manualPorts();
  const busy = { isBusy: false };
  const passed: Report[] = [];
  const submit = holdReports(
    (report) => {
      passed.push(report);
      return Promise.resolve(null);
    },
    () => busy.isBusy,
    { timers: ports.timers, atMostMs },
  );
  return { ports, passed, submit, busy };
}

describe("reports that are held back", () => {
  it("what an attempt has told goes with its end, at once and in order", () => {
    const { passed, submit } = setUp();
    const told = [runs("a", 1), runs("b", 2), runs("a", 3), ends("a", "EXITED")];
    for (const report of told) void submit(report);
    expect(passed).toEqual([told[0], told[2], told[3]]);
  });

  it("is passed on in time when nothing follows, and answered", async () => {
    const { ports, passed, submit } = setUp();
    const answer = submit(runs("a", 1));
    await ports.advance(atMostMs / 2 - 1);
    expect(passed).toEqual([]);
    await ports.advance(atMostMs / 2 + 1);
    expect(passed).toHaveLength(1);
    expect(await answer).toBeNull();
  });

  it("gives way to other work, but not for ever", async () => {
    const { ports, passed, submit, busy } = setUp();
    busy.isBusy = true;
    void submit(runs("a", 1));
    await ports.advance(4 * atMostMs);
    expect(passed).toEqual([]);
    await ports.advance(atMostMs);
    expect(passed).toHaveLength(1);
    void submit(runs("b", 2));
    busy.isBusy = false;
    await ports.advance(atMostMs);
    expect(passed).toHaveLength(2);
  });

  it("loses none, holds none too long, and keeps the order of each attempt, whatever comes when", async () => {
    const step = fc.record({
      attemptId: fc.constantFrom("a", "b", "c"),
      isEnd: fc.boolean(),
      isBusy: fc.boolean(),
      afterMs: fc.integer({ min: 0, max: 70 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { ports, passed, submit, busy } = setUp();
        const told: { report: Report; atMs: number }[] = [];
        let nowMs = 0;
        for (const [index, { attemptId, isEnd, isBusy, afterMs }] of steps.entries()) {
          busy.isBusy = isBusy;
          await ports.advance(afterMs);
          nowMs += afterMs;
          const report = isEnd ? ends(attemptId, String(index)) : runs(attemptId, index);
          void submit(report);
          told.push({ report, atMs: nowMs });
          for (const one of told) if (nowMs - one.atMs > 5 * atMostMs) expect(passed).toContain(one.report);
        }
        busy.isBusy = false;
        await ports.advance(atMostMs);
        expect(passed).toHaveLength(told.length);
        for (const id of ["a", "b", "c"]) {
          const ofAttempt = (reports: readonly Report[]) => reports.filter(({ attempt }) => attempt.attemptId === id);
          expect(ofAttempt(passed)).toEqual(ofAttempt(told.map(({ report }) => report)));
        }
      }),
    );
  });
});
