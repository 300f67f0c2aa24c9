import { expect, it } from "vitest";
import { type Holds, holdSentence } from "./hold-sentence.ts";

const heldAtMs = Date.UTC(2026, 0, 2);
const plan = { reason: "disk swap", heldBy: "ana", heldAtMs };
const queue = { reason: "Fire drill.", heldBy: "", heldAtMs: heldAtMs + 60_000 };
const planId = "0469d56d-2b5a-478c-a20d-2e9b78ac6edb";

it.each<[string, Omit<Holds, "planId">, string]>([
  ["nobody", { plan: null, queue: null }, ""],
  [
    "the plan's",
    { plan, queue: null },
    `Its plan is held by ana since 2026-01-02T00:00:00.000Z: disk swap. headroom plan release ${planId} ends that.`,
  ],
  [
    "the queue's",
    { plan: null, queue },
    "The queue is held since 2026-01-02T00:01:00.000Z: Fire drill. headroom queue release ends that.",
  ],
  [
    "both",
    { plan, queue },
    "Its plan is held by ana since 2026-01-02T00:00:00.000Z: disk swap. The queue is held since 2026-01-02T00:01:00.000Z: Fire drill. " +
      `Both have to end: headroom plan release ${planId}, and headroom queue release.`,
  ],
])("names who holds it since when, and what ends that: %s", (_, holds, sentence) => {
  expect(holdSentence({ planId, ...holds })).toBe(sentence);
});
