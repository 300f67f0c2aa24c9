import { randomUUID } from "node:crypto";
import { wire } from "@headroom/contracts";
import { expect, it } from "vitest";
import type { TaskNow } from "../accept/acceptor.ts";
import { dispatchedTasksToWire } from "./dispatched-tasks.ts";

const paused = (sentence: string): TaskNow => ({
  taskId: randomUUID(),
  name: "n".repeat(128),
  state: "paused",
  reason: "NO_AGENT_FITS_NOW",
  sentence,
  agentId: randomUUID(),
});

it.each(["x", "室", "🖥"])(
  "DESIGN-6: what became of 10,000 tasks is one message, however long the sentences: of %s",
  (letter) => {
    const tasks = Array.from({ length: 10_000 }, () => paused(letter.repeat(4_096)));
    const answer = wire.DispatchPlanResponse.fromPartial({ tasks: dispatchedTasksToWire(tasks) });
    expect(wire.DispatchPlanResponse.encode(answer).finish().length).toBeLessThan(16 * 1_048_576 - 1_024);
    expect(answer.tasks[9_999]?.sentence).toMatch(/…$/);
  },
);

it("sentences that fit are told whole", () => {
  const sentence = "x".repeat(100_000);
  expect(dispatchedTasksToWire([paused(sentence)])[0]?.sentence).toBe(sentence);
});
