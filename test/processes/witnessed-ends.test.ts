import { expect, it } from "vitest";
import type { LedgerLine } from "../e2e/support/ledger.ts";
import { soundHistory } from "../support/invariants/sound-history.test-helper.ts";
import { withWitnessedEnds } from "./witnessed-ends.ts";

const [run] = soundHistory().runs;
const restarted = { ...run!, end: { atMs: 9_000, outcome: "agent_restarted", exitCode: null, fence: 1 } };
const { attemptId } = restarted;
const line = (what: LedgerLine["what"]): LedgerLine => ({
  what,
  task: "first",
  attemptId,
  taskId: "first",
  planId: "plan",
  pid: 11,
  atSeconds: 1,
});

it("the command is believed where its result had come through before a full disk and a kill took it from the journal", () => {
  const lines = [line("start"), line("end")];
  const [witnessed] = withWitnessedEnds([restarted], [{ attemptId, state: "succeeded" }], lines);
  expect(witnessed?.end).toEqual({ atMs: 1_000, outcome: "exited", exitCode: 0, fence: 1 });
  // Nobody was told: that it failed is what could be known.
  expect(withWitnessedEnds([restarted], [{ attemptId, state: "failed" }], lines)).toEqual([restarted]);
  // It was told as well, and the command never came to its end.
  expect(withWitnessedEnds([restarted], [{ attemptId, state: "succeeded" }], [line("start")])).toEqual([restarted]);
  expect(withWitnessedEnds([run!], [{ attemptId, state: "succeeded" }], lines)).toEqual([run]);
});
