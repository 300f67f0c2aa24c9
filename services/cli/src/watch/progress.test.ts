import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { afterEvent, progressOf, withReasons } from "./progress.ts";

const { TASK_STATE_PAUSED, TASK_STATE_RUNNING } = wire.TaskState;
const { PAUSE_REASON_HELD, PAUSE_REASON_NO_AGENT_FITS_NOW } = wire.PauseReason;

const paused = (taskId: string, reason: wire.PauseReason): wire.Task =>
  wire.Task.create({ taskId, name: taskId, state: TASK_STATE_PAUSED, pause: wire.PauseInfo.create({ reason }) });

const moved = (taskId: string, toState: wire.TaskState, pauseReason: wire.PauseReason): wire.WatchPlanResponse =>
  wire.WatchPlanResponse.create({ event: wire.PlanEvent.create({ taskId, toState, pauseReason }) });

describe("reasons that were read again", () => {
  const before = progressOf(
    wire.Plan.create({ tasks: ["one", "two"].map((taskId) => paused(taskId, PAUSE_REASON_HELD)) }),
  );
  const read = ["one", "two", "unknown"].map((taskId) => paused(taskId, PAUSE_REASON_NO_AGENT_FITS_NOW));

  it("stand in place of those that were known", () => {
    const next = withReasons(before, before, read);
    expect([...next.tasks.values()].map(({ why }) => why)).toEqual(["no_agent_fits_now", "no_agent_fits_now"]);
    expect(withReasons(next, next, read)).toBe(next);
  });

  it("do not go back behind an event that has come meanwhile", () => {
    const running = afterEvent(before, moved("one", TASK_STATE_RUNNING, 0));
    const again = afterEvent(running, moved("two", TASK_STATE_PAUSED, PAUSE_REASON_HELD));
    expect(withReasons(again, before, read)).toBe(again);
  });
});
