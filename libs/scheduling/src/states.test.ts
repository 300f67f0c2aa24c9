import { describe, expect, it } from "vitest";
import { ATTEMPT_TABLE, attemptStep, isFinalAttemptState, type AttemptState } from "./attempt-state.ts";
import { LIVENESS_TABLE } from "./liveness.ts";
import { isDue, PAUSE_TABLE, pauseStep } from "./pause-state.ts";
import { isPauseReason, PAUSE_REASONS } from "./reasons.ts";
import {
  isActiveTaskState,
  isFinalTaskState,
  isWaitingTaskState,
  TASK_STATES,
  taskStep,
  type TaskEvent,
  type TaskState,
} from "./task-state.ts";
import { TASK_TABLE } from "./task-table.ts";

const TABLES: readonly (readonly [string, Readonly<Record<string, Readonly<Record<string, string>>>>])[] = [
  ["task", TASK_TABLE],
  ["attempt", ATTEMPT_TABLE],
  ["pause", PAUSE_TABLE],
  ["liveness", LIVENESS_TABLE],
];

/** Applies events one after the other; throws at the first that is rejected. */
function life(from: TaskState, ...events: readonly TaskEvent[]): TaskState {
  return events.reduce((state, event) => {
    const next = taskStep(state, event, false);
    if (next.kind === "rejected") throw new Error(`${event} in ${state}: ${next.reason}`);
    return next.to;
  }, from);
}

describe.each(TABLES)("the %s table", (_name, table) => {
  it("DESIGN-5: has every cell, and each leads to a state or says why not", () => {
    const states = Object.keys(table);
    const events = Object.keys(Object.values(table)[0] ?? {}).sort();
    expect(events.length).toBeGreaterThan(0);
    for (const row of Object.values(table)) {
      expect(Object.keys(row).sort()).toEqual(events);
      for (const cell of Object.values(row))
        expect(cell.startsWith("!") ? cell.length > 1 : states.includes(cell)).toBe(true);
    }
  });

  it("reaches every state from the first", () => {
    const [first = ""] = Object.keys(table);
    const reached = new Set([first]);
    for (const state of reached) {
      for (const cell of Object.values(table[state] ?? {})) if (!cell.startsWith("!")) reached.add(cell);
    }
    expect([...reached].sort()).toEqual(Object.keys(table).sort());
  });
});

describe("a task's life", () => {
  it("DESIGN-5: from accepted to succeeded, with a pause on the way", () => {
    expect(life("pending", "gate_held", "no_room", "reserved", "assigned", "accepted", "started", "succeeded")).toBe(
      "succeeded",
    );
    expect(life("pending", "reserved", "assigned", "accepted")).toBe("running");
  });

  it("DESIGN-5: lost work is queued again, or fails when no attempt is left", () => {
    expect(life("running", "lost", "requeued", "reserved")).toBe("reserved");
    expect(life("running", "lost", "attempts_exhausted")).toBe("failed");
  });

  it("DESIGN-5: what was not delivered, or failed and may be tried again, waits again", () => {
    expect(life("assigned", "delivery_failed")).toBe("paused");
    expect(life("running", "failed_retryable")).toBe("paused");
    expect(life("reserved", "reservation_lost")).toBe("paused");
  });

  it("DESIGN-5: work that runs is not queued a second time by a late failure to deliver it, nor reserved again", () => {
    for (const event of ["delivery_failed", "reserved", "reservation_lost", "gate_held", "requeued"] as const) {
      expect(taskStep("running", event, false)).toMatchObject({ kind: "rejected", reason: "ALREADY_FURTHER" });
    }
  });

  it("DESIGN-5: a result of an attempt that was given up changes nothing", () => {
    for (const state of ["lost", "paused"] as const) {
      expect(taskStep(state, "succeeded", false)).toEqual({ kind: "rejected", state, reason: "SUPERSEDED" });
    }
  });

  it("DESIGN-5: cancel at every state; what runs is told first", () => {
    const after = (state: TaskState) => {
      const next = taskStep(state, "cancel_requested", false);
      return next.kind === "moved" ? next.to : next.reason;
    };
    expect(Object.fromEntries(TASK_STATES.map((state) => [state, after(state)]))).toEqual({
      pending: "cancelled",
      paused: "cancelled",
      reserved: "cancelled",
      assigned: "assigned",
      running: "running",
      lost: "cancelled",
      succeeded: "ALREADY_FINAL",
      failed: "ALREADY_FINAL",
      cancelled: "ALREADY_FINAL",
    });
  });

  it("DESIGN-5: no retry after a cancel", () => {
    for (const event of ["failed_retryable", "lost", "delivery_failed"] as const) {
      expect(taskStep("assigned", event, true)).toEqual({ kind: "moved", from: "assigned", to: "cancelled" });
    }
    expect(taskStep("running", "succeeded", true)).toMatchObject({ to: "succeeded" });
  });

  it("what has ended stays so, unless a person asks for it again", () => {
    for (const state of TASK_STATES.filter(isFinalTaskState)) {
      // Object.keys of a complete row: every TaskEvent.
      for (const event of Object.keys(TASK_TABLE[state]) as TaskEvent[]) {
        const next = taskStep(state, event, false);
        const isAllowed = event === "retry_requested" && state !== "succeeded";
        expect(next.kind).toBe(isAllowed ? "moved" : "rejected");
      }
    }
  });

  it("every state waits, is active or is final, and only one of them", () => {
    for (const state of TASK_STATES) {
      const kinds = [isWaitingTaskState(state), isActiveTaskState(state), isFinalTaskState(state)];
      expect(kinds.filter(Boolean)).toHaveLength(1);
    }
  });
});

describe("an attempt's life", () => {
  it("DESIGN-5: short work may end before its start is heard of", () => {
    expect(attemptStep("assigned", "succeeded")).toMatchObject({ to: "succeeded" });
  });

  it("DESIGN-5: a late result of a lost attempt is refused, for the record", () => {
    expect(attemptStep("lost", "succeeded")).toMatchObject({ kind: "rejected", reason: "SUPERSEDED" });
    expect(attemptStep("undelivered", "started")).toMatchObject({ kind: "rejected", reason: "SUPERSEDED" });
  });

  it("DESIGN-5: the same attempt given again with a higher fence goes on", () => {
    expect(attemptStep("running", "adopted")).toMatchObject({ to: "running" });
    expect(attemptStep("running", "delivery_failed")).toMatchObject({ reason: "ALREADY_ACCEPTED" });
  });

  it("knows its ends", () => {
    // Object.keys of a complete table: every AttemptState.
    const states = Object.keys(ATTEMPT_TABLE) as AttemptState[];
    expect(states.filter((state) => !isFinalAttemptState(state))).toEqual(["assigned", "running"]);
  });
});

describe("a pause entry's life", () => {
  it("R-PAUSE-8: is resumed once", () => {
    expect(pauseStep("waiting", "resumed")).toMatchObject({ to: "resumed" });
    expect(pauseStep("resumed", "resumed")).toMatchObject({ kind: "rejected", reason: "ALREADY_RESUMED" });
    expect(pauseStep("waiting", "still_waiting")).toMatchObject({ to: "waiting" });
  });

  it("R-PAUSE-6: is due when resume_after is null or past", () => {
    expect([isDue(null, 5), isDue(5, 5), isDue(4, 5), isDue(6, 5)]).toEqual([true, true, true, false]);
  });

  it("R-PAUSE-4: reasons are known by name", () => {
    expect(PAUSE_REASONS.every(isPauseReason)).toBe(true);
    expect(isPauseReason("toString")).toBe(false);
  });
});
