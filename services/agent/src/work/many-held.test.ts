/** Results that nobody acknowledges: what is held is told in each hello, and of more than the contract takes every hello would be refused. */
import { describe, expect, it } from "vitest";
import type { JournalRecord } from "../journal/journal.ts";
import { maxHeldAttempts } from "./held-attempt.ts";
import {
  assign,
  attemptA,
  attemptB,
  boot,
  freshAgentForEachTest,
  journal,
  runner,
  say,
  sentOf,
  supervisor,
  welcome,
} from "./work-desk.test-helper.ts";

freshAgentForEachTest();

const idOf = (count: number): string => `cccccccc-0000-4000-8000-${String(count).padStart(12, "0")}`;

/** An earlier agent program left so many results. */
async function bootWithFinished(count: number): Promise<void> {
  for (let each = 1; each <= count; each += 1) for (const record of recordsOf(idOf(each))) await journal.append(record);
  await boot();
}

function recordsOf(attemptId: string): readonly JournalRecord[] {
  const { taskId, planId, taskName } = { taskId: "task", planId: "plan", taskName: "name" };
  const reserved = { cpuMillicores: 0, memoryMib: 0, cards: [] };
  return [
    { kind: "accepted", attemptId, fence: 1, atMs: 1, taskId, planId, taskName, workLeaseMs: 60_000, reserved },
    {
      kind: "finished",
      attemptId,
      fence: 1,
      outcome: "exited",
      exitCode: 0,
      signal: "",
      sentence: "",
      startedAtMs: 1,
      finishedAtMs: 2,
      used: { cpuMs: 0, memoryPeakMib: 0, vramPeakMib: 0 },
      lastOutputSeq: 0,
    },
  ];
}

describe("as many attempts as a hello may tell of", () => {
  it("I9: with those whose results wait it takes no more than that, though none runs, and one more for each acknowledgement", async () => {
    await bootWithFinished(maxHeldAttempts - 1);
    await welcome();
    await assign(attemptA);
    await assign(attemptB);
    expect(sentOf("answer")).toMatchObject([
      { attemptId: attemptA, accepted: true },
      { attemptId: attemptB, accepted: false, reason: "TOO_MANY_ATTEMPTS" },
    ]);
    await say({ $case: "finishedAck", value: { attemptId: idOf(1), refused: false } });
    await assign(attemptB, 2);
    expect(sentOf("answer").at(-1)).toMatchObject({ attemptId: attemptB, accepted: true });
    expect(supervisor.held()).toHaveLength(maxHeldAttempts);
  });

  it("I9: of a journal that has more the hello tells as many, those that may still run first", async () => {
    await bootWithFinished(maxHeldAttempts + 3);
    await welcome();
    // As an earlier version took them.
    const [accepted] = recordsOf(attemptA);
    if (accepted !== undefined) await journal.append(accepted);
    runner.endLeftover = () => new Promise(() => undefined);
    await boot();
    const [hello] = sentOf("hello");
    expect(hello?.attempts).toHaveLength(maxHeldAttempts);
    expect(hello?.attempts.map(({ attemptId }) => attemptId)).toContain(attemptA);
  });
});
