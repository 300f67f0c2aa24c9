import type { AttemptOutcome } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import type { AttemptResult, AttemptSituation } from "../store/model.ts";
import { decideLost, decideResult, decideUndelivered, retryBackoff } from "./decide-result.ts";

const situation = (overrides: Partial<AttemptSituation> = {}): AttemptSituation => ({
  attemptState: "running",
  attemptFence: 4,
  superseded: false,
  taskState: "running",
  taskName: "t",
  cancelRequested: false,
  retryOnFailure: false,
  holdUnknown: false,
  maxAttempts: 3,
  runsUsed: 1,
  ...overrides,
});
const result = (
  outcome: AttemptOutcome,
  exitCode: number | null = null,
  overrides: Partial<AttemptResult> = {},
): AttemptResult => ({
  attemptId: "a",
  fence: 4,
  agentId: "b",
  outcome,
  exitCode,
  signal: "",
  sentence: "",
  startedAtMs: null,
  finishedAtMs: null,
  used: null,
  lastOutputSeq: 0,
  ...overrides,
});
const decide = (told: AttemptResult, overrides: Partial<AttemptSituation> = {}) =>
  decideResult(told, 0.5)(situation(overrides));

describe("decideResult", () => {
  it("on_unknown_outcome hold: what nobody knows the end of is not run again, what somebody knows is as ever", () => {
    const held = { holdUnknown: true };
    for (const verdict of [decide(result("agent_restarted"), held), decideLost(0.5)(situation(held))]) {
      expect(verdict).toMatchObject({ kind: "final", taskState: "failed" });
      expect(verdict).toHaveProperty("sentence", expect.stringContaining("headroom plan retry"));
    }
    for (const known of ["evicted", "lease_expired"] as const) {
      expect(decide(result(known), held)).toMatchObject({ kind: "requeue" });
    }
    const cancelling = { ...held, cancelRequested: true };
    expect(decideLost(0.5)(situation(cancelling))).toMatchObject({ kind: "final", taskState: "cancelled" });
  });

  it("says once what happened, also when the agent says it too", () => {
    const sentence = "it ran longer than its run_timeout of 2 s";
    expect(decide(result("timed_out", null, { sentence }))).toMatchObject({ sentence });
    expect(decide(result("exited", 3, { sentence: "2 processes were ended" }))).toMatchObject({
      sentence: "the command ended with code 3: 2 processes were ended",
    });
  });

  it("code 0 succeeds, also before the start was heard of, and also when somebody had asked to cancel", () => {
    expect(decide(result("exited", 0))).toMatchObject({
      kind: "final",
      taskState: "succeeded",
      attemptState: "succeeded",
    });
    expect(decide(result("exited", 0), { attemptState: "assigned", taskState: "assigned" })).toMatchObject({
      taskState: "succeeded",
    });
    expect(decide(result("exited", 0), { cancelRequested: true })).toMatchObject({ taskState: "succeeded" });
  });

  it.each(["exited", "signaled", "timed_out", "spawn_failed"] as const)(
    "%s: the command's own failure is tried again only on request",
    (outcome) => {
      expect(decide(result(outcome, 1))).toMatchObject({
        kind: "final",
        taskState: "failed",
        eventKind: "TASK_FAILED",
      });
      expect(decide(result(outcome, 1), { retryOnFailure: true })).toMatchObject({
        kind: "requeue",
        reason: "RETRY_BACKOFF",
        runGivenBack: false,
      });
      expect(decide(result(outcome, 1), { retryOnFailure: true, runsUsed: 3 })).toMatchObject({
        kind: "final",
        taskState: "failed",
      });
    },
  );

  it.each(["agent_restarted", "lease_expired", "cancelled"] as const)(
    "%s: what happened to it is tried again until max_attempts",
    (outcome) => {
      expect(decide(result(outcome))).toMatchObject({
        kind: "requeue",
        attemptState: "failed",
        reason: "RETRY_BACKOFF",
      });
      expect(decide(result(outcome), { runsUsed: 3 })).toMatchObject({
        kind: "final",
        taskState: "failed",
        sentence: expect.stringContaining("run 3 of 3"),
      });
    },
  );

  it("evicted: the owner may take the machine back as often as he likes, that costs the task no run", () => {
    expect(decide(result("evicted"), { runsUsed: 3 })).toMatchObject({
      kind: "requeue",
      reason: "RETRY_BACKOFF",
      runGivenBack: true,
    });
  });

  it("a cancelled task is cancelled, whatever ended its run", () => {
    expect(decide(result("cancelled"), { cancelRequested: true })).toMatchObject({
      kind: "final",
      attemptState: "cancelled",
      taskState: "cancelled",
    });
    expect(decide(result("evicted"), { cancelRequested: true })).toMatchObject({
      kind: "final",
      attemptState: "failed",
      taskState: "cancelled",
    });
  });

  it("R-PAUSE-8: a repeated result is a repetition; one of an attempt that was given up is refused", () => {
    expect(decide(result("exited", 0), { attemptState: "succeeded", taskState: "succeeded" })).toEqual({
      kind: "repeat",
    });
    expect(decide(result("exited", 0), { attemptState: "lost", taskState: "paused" })).toMatchObject({
      kind: "refused",
    });
    expect(
      decide(result("exited", 0), { attemptState: "undelivered", taskState: "running", superseded: true }),
    ).toMatchObject({ kind: "refused" });
    expect(decide(result("exited", 0), { superseded: true })).toMatchObject({ kind: "refused" });
    expect(decide(result("exited", 0, { fence: 3 }))).toMatchObject({
      kind: "refused",
      sentence: expect.stringContaining("fence 3"),
    });
  });

  it("of a result that is refused it is kept what it said, so that nobody does again what has been done", () => {
    const lost = { attemptState: "lost", taskState: "failed", holdUnknown: true } as const;
    expect(decide(result("exited", 0), lost)).toEqual({
      kind: "refused",
      sentence: "the attempt was given up before (lost); it said: the command ended with code 0",
    });
    const sentence = "the command was ended by SIGKILL: out of memory";
    expect(decide(result("signaled", null, { signal: "SIGKILL", sentence }), { superseded: true })).toEqual({
      kind: "refused",
      sentence: `another attempt of the task is in force; it said: ${sentence}`,
    });
    expect(decide(result("exited", 7), { taskState: "cancelled" })).toEqual({
      kind: "refused",
      sentence: "the task is cancelled already; it said: the command ended with code 7",
    });
  });

  it("waits longer after each failure, with jitter and a bound", () => {
    const waitMs = (runsUsed: number, random: number): number => {
      const verdict = decideResult(result("evicted"), random)(situation({ runsUsed, maxAttempts: 100 }));
      return verdict.kind === "requeue" ? (verdict.resumeAfterMs ?? -1) : -1;
    };
    expect(waitMs(1, 0.999)).toBeLessThanOrEqual(retryBackoff.baseMs);
    expect(waitMs(5, 0.999)).toBeGreaterThan(waitMs(2, 0.999));
    expect(waitMs(90, 0.999)).toBeLessThanOrEqual(retryBackoff.maxMs);
    expect(waitMs(5, 0)).toBe(0);
  });
});

describe("decideUndelivered", () => {
  it("gives the run back and may be placed at once; a task that was to be cancelled is", () => {
    const unsent = situation({ attemptState: "assigned", taskState: "assigned" });
    expect(decideUndelivered("no")(unsent)).toMatchObject({
      kind: "requeue",
      reason: "DELIVERY_FAILED",
      runGivenBack: true,
      resumeAfterMs: null,
    });
    expect(decideUndelivered("no")({ ...unsent, cancelRequested: true })).toMatchObject({
      kind: "final",
      taskState: "cancelled",
    });
    expect(decideUndelivered("no")(situation())).toEqual({ kind: "repeat" });
  });
});

describe("decideLost", () => {
  it("waits before a new attempt, twice as long after each, five minutes at most, as jitter will", () => {
    const waitsMs = (runsUsed: number, random: number): unknown =>
      Reflect.get(decideLost(random)(situation({ runsUsed, maxAttempts: 100 })), "resumeAfterMs");
    expect([1, 2, 3, 20].map((runsUsed) => waitsMs(runsUsed, 0.5))).toEqual([500, 1_000, 2_000, 150_000]);
    expect([0, 0.999].map((random) => waitsMs(2, random))).toEqual([0, 1_998]);
  });

  it("a new attempt while there is one left, else failed; cancelled if that was asked for", () => {
    expect(decideLost(0.5)(situation())).toMatchObject({
      kind: "requeue",
      attemptState: "lost",
      eventKind: "TASK_LOST",
    });
    expect(decideLost(0.5)(situation({ runsUsed: 3 }))).toMatchObject({
      kind: "final",
      attemptState: "lost",
      taskState: "failed",
    });
    expect(decideLost(0.5)(situation({ runsUsed: 3, cancelRequested: true }))).toMatchObject({
      kind: "final",
      taskState: "cancelled",
    });
    expect(decideLost(0.5)(situation({ attemptState: "succeeded", taskState: "succeeded" }))).toEqual({
      kind: "repeat",
    });
  });
});
