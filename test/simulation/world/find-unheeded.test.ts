import { describe, expect, it } from "vitest";
import type { Facts } from "../../support/invariants/facts.ts";
import { findUnended, findUnheeded, findUnretried } from "./find-unheeded.ts";
import type { Acknowledged } from "./operator.ts";

/** A task that is assigned at 100 s. */
function found(
  acknowledged: readonly Acknowledged[],
  events: readonly { kind: string; taskId?: string; planId?: string }[] = [],
) {
  const facts = {
    tasks: [{ taskId: "task", planId: "plan" }],
    changes: [
      { row: "attempt", attemptId: "a", taskId: "task", state: "assigned", atMs: 100_000 },
      { row: "attempt", attemptId: "a", taskId: "task", state: "assigned", atMs: 130_000 },
    ],
    events,
  } as unknown as Facts;
  return findUnheeded(acknowledged, facts).map(({ invariant }) => invariant);
}

const held = (atMs: number, untilMs: number): Acknowledged => ({ kind: "held", planId: "plan", atMs, untilMs });

describe("what an operator was told has been done", () => {
  it("V16: what was cancelled is given to nobody, unless it is retried", () => {
    const cancelled = (atMs: number): Acknowledged => ({ kind: "cancelled", taskId: "task", atMs });
    expect(found([cancelled(90_000)])).toEqual(["V16"]);
    expect(found([cancelled(110_000)])).toEqual([]);
    expect(found([cancelled(90_000)], [{ kind: "TASK_RETRIED", taskId: "task" }])).toEqual([]);
    expect(found([{ kind: "cancelled", taskId: "other", atMs: 90_000 }])).toEqual([]);
  });

  it("V24: nothing of a plan is given out from the answer to its hold until its release is asked for", () => {
    expect(found([held(90_000, 110_000)])).toEqual(["V24"]);
    expect(found([held(90_000, 110_000)], [{ kind: "PLAN_RETRY_REQUESTED", planId: "plan" }])).toEqual([]);
    expect(found([held(90_000, 99_000)])).toEqual([]);
    expect(found([held(110_000, 120_000)])).toEqual([]);
    // A copy of the earlier release may have ended it.
    expect(found([held(60_000, 80_000), held(90_000, 110_000)])).toEqual([]);
    expect(found([held(10_000, 20_000), held(90_000, 110_000)])).toEqual(["V24"]);
  });

  it("V27: as many tasks are back as the answers to all calls said", () => {
    const retried = (tasks: number): Acknowledged => ({ kind: "retried", planId: "plan", tasks });
    const events = ["TASK_RETRIED", "TASK_RESTORED"].map((kind) => ({ kind, planId: "plan" }));
    const unretried = (...answers: readonly Acknowledged[]) =>
      findUnretried(answers, { events } as unknown as Pick<Facts, "events">).map(({ invariant }) => invariant);
    expect(unretried(retried(3))).toEqual(["V27"]);
    expect(unretried(retried(1), retried(2))).toEqual(["V27"]);
    expect(unretried(retried(2), retried(0))).toEqual([]);
    expect(unretried({ kind: "retried", planId: "other", tasks: 1 })).toEqual(["V27"]);
  });

  it("V16: what was cancelled ends, soon after its agent can hear of it, unless it is retried", () => {
    const ranOn = (toMs: number | null, heardFromMs: number, events: readonly object[] = []): readonly string[] => {
      const executions = [{ attemptId: "a", taskId: "task", fromMs: 50_000, toMs }];
      const world = {
        machines: [{ name: "desktop", executions }],
        engine: { wallMs: 500_000 },
        postgres: { nowMs: 500_000 },
      };
      const cancelled: Acknowledged = { kind: "cancelled", taskId: "task", atMs: 100_000 };
      const facts = { events } as unknown as Pick<Facts, "events">;
      return findUnended(world as unknown as Parameters<typeof findUnended>[0], [cancelled], facts, heardFromMs).map(
        ({ invariant }) => invariant,
      );
    };
    expect(ranOn(130_000, 0)).toEqual(["V16"]);
    expect(ranOn(null, 0)).toEqual(["V16"]);
    expect(ranOn(120_000, 0)).toEqual([]);
    expect(ranOn(130_000, 110_000)).toEqual([]);
    expect(ranOn(130_000, 0, [{ kind: "TASK_RETRIED", taskId: "task" }])).toEqual([]);
  });
});
