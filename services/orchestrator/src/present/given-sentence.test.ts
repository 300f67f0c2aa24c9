import { expect, it } from "vitest";
import type { TaskRecord } from "../store/model.ts";
import type { WorkLease } from "../store/port.ts";
import { givenSentence, type GivenTo } from "./given-sentence.ts";

const nowMs = Date.UTC(2026, 0, 2, 12);
function assignedAgo(seconds: number): TaskRecord["attempts"] {
  return [{ assignedAtMs: nowMs - seconds * 1_000 }] as unknown as TaskRecord["attempts"];
}
const running = {
  state: "running",
  cancelRequested: false,
  holdUnknown: false,
  maxAttempts: 3,
  attempts: assignedAgo(60),
} as unknown as TaskRecord;
const rules = { lostGraceMs: 30_000, resendWithinMs: 60_000 };
const online: GivenTo = { agentId: "A", status: "online", attached: true };
const lease = (renewedAgoS: number | null, leftS: number, overrides: Partial<WorkLease> = {}): WorkLease => ({
  sent: true,
  renewedAtMs: renewedAgoS === null ? null : nowMs - renewedAgoS * 1_000,
  expiresAtMs: nowMs + leftS * 1_000,
  nowMs,
  runsUsed: 1,
  ...overrides,
});
const away =
  "which is offline and was last heard of at 2026-01-02T11:58:00.000Z. Its work lease ends at 2026-01-02T12:03:00.000Z; unless the agent is back by then, the task";

it.each<[string, Partial<TaskRecord>, Partial<GivenTo>, WorkLease | null, string]>([
  [
    "offline, to be ended",
    { cancelRequested: true },
    { status: "offline" },
    lease(120, 180),
    `It runs on agent A, ${away} counts as cancelled 30 s after that.`,
  ],
  ["all is well", {}, {}, lease(10, 290), "It runs on agent A."],
  ["being ended", { cancelRequested: true }, {}, lease(10, 290), "It runs on agent A, which is ending it."],
  ["the registry is away", {}, { status: null, attached: null }, lease(10, 290), "It runs on agent A."],
  ["just ended", {}, { status: "offline" }, null, "It runs on agent A."],
  [
    "offline",
    {},
    { status: "offline" },
    lease(120, 180),
    `It runs on agent A, ${away} is tried elsewhere 30 s after that.`,
  ],
  [
    "offline, not to be repeated",
    { holdUnknown: true },
    { status: "offline" },
    lease(120, 180),
    `It runs on agent A, ${away} fails 30 s after that, and is not run again by itself (on_unknown_outcome: hold).`,
  ],
  [
    "offline, in its last run",
    {},
    { status: "offline" },
    lease(120, 180, { runsUsed: 3 }),
    `It runs on agent A, ${away} fails 30 s after that: this is run 3 of 3.`,
  ],
  [
    "suspect, its lease over",
    {},
    { status: "suspect" },
    lease(301, -1),
    "It runs on agent A, which is suspect and was last heard of at 2026-01-02T11:54:59.000Z. Its work lease ended at 2026-01-02T11:59:59.000Z; the task is tried elsewhere 30 s after that.",
  ],
  [
    "silent for more than half of the lease, while the registry is away",
    {},
    { status: null, attached: null },
    lease(200, 100),
    "It runs on agent A, which is silent and was last heard of at 2026-01-02T11:56:40.000Z. Its work lease ends at 2026-01-02T12:01:40.000Z; unless the agent is back by then, the task is tried elsewhere 30 s after that.",
  ],
  [
    "assigned",
    { state: "assigned", attempts: assignedAgo(59) },
    {},
    lease(null, 330),
    "It was given at 2026-01-02T11:59:01.000Z to agent A, which has not answered yet.",
  ],
  [
    "assigned and not answered, however often it was sent",
    { state: "assigned" },
    {},
    lease(null, 330),
    "It was given at 2026-01-02T11:59:00.000Z to agent A, which has not answered since. Its work lease ends at 2026-01-02T12:05:30.000Z; unless the agent has answered by then, the task is tried elsewhere 30 s after that.",
  ],
  [
    "assigned, not answered, and to be cancelled",
    { state: "assigned", cancelRequested: true, attempts: assignedAgo(400) },
    { status: null, attached: null },
    lease(null, 10),
    "It was given at 2026-01-02T11:53:20.000Z to agent A, which has not answered since. Its work lease ends at 2026-01-02T12:00:10.000Z; unless the agent has answered by then, the task counts as cancelled 30 s after that.",
  ],
  [
    "assigned to one without a stream",
    { state: "assigned" },
    { attached: false },
    lease(null, 330),
    "It was given at 2026-01-02T11:59:00.000Z to agent A, which has no work stream to an orchestrator and has not answered yet. Its work lease ends at 2026-01-02T12:05:30.000Z; unless the agent is back by then, the task is tried elsewhere 30 s after that.",
  ],
  [
    "assigned, and never sent",
    { state: "assigned" },
    { status: "offline" },
    lease(null, 330, { sent: false }),
    "It was given at 2026-01-02T11:59:00.000Z to agent A, which is offline; it has not been sent yet.",
  ],
])("says where it is, and what follows when its agent is away: %s", (_, task, to, known, sentence) => {
  expect(givenSentence({ ...running, ...task }, { ...online, ...to }, known, rules)).toBe(sentence);
});
