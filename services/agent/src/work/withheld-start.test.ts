/** What ends while it is being started: a folder on a network drive may take minutes to answer. */
import { createDeferred, type Deferred } from "@headroom/runtime";
import { beforeEach, describe, expect, it } from "vitest";
import {
  assign,
  attemptA,
  freshAgentForEachTest,
  pass,
  ports,
  runner,
  say,
  sentOf,
  supervisor,
  welcome,
} from "./work-desk.test-helper.ts";

freshAgentForEachTest();

let folder: Deferred<void>;
let isAsked: boolean;

beforeEach(async () => {
  folder = createDeferred();
  isAsked = false;
  const startAtOnce = runner.start.bind(runner);
  runner.start = async (spec, sink, mayStart) => {
    await folder.promise;
    isAsked = true;
    return mayStart?.() === false ? { kind: "withheld" } : startAtOnce(spec, sink);
  };
  await welcome();
  await say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [] } });
  await assign(attemptA);
});

async function answerFolder(): Promise<void> {
  expect(isAsked).toBe(false);
  folder.resolve();
  await ports.settle();
  expect(isAsked).toBe(true);
}

describe("a start that takes long", () => {
  it("starts nothing that was cancelled meanwhile", async () => {
    await say({ $case: "cancel", value: { attemptId: attemptA, fence: 1, grace: undefined, reason: "by its owner" } });
    await answerFolder();
    expect(runner.runs).toEqual([]);
    expect(supervisor.get(attemptA)?.result).toMatchObject({
      outcome: "cancelled",
      sentence: "it was cancelled: by its owner; it ended before it was started",
      startedAtMs: null,
    });
    expect(sentOf("finished")).toHaveLength(1);
  });

  it("starts nothing whose lease ended meanwhile", async () => {
    await pass(61_000);
    await answerFolder();
    expect(runner.runs).toEqual([]);
    expect(supervisor.get(attemptA)?.result).toMatchObject({ outcome: "lease_expired", startedAtMs: null });
  });

  it("starts what is still wanted, and what was renewed meanwhile", async () => {
    await pass(20_000);
    await say({ $case: "renewed", value: { attemptIds: [attemptA], unwantedAttemptIds: [] } });
    await pass(50_000);
    await answerFolder();
    expect(runner.runs).toHaveLength(1);
    expect(supervisor.get(attemptA)?.result).toBeNull();
  });
});
