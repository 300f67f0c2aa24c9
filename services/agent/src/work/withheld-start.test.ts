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
  sayHold,
  sentOf,
  supervisor,
  welcome,
} from "./work-desk.test-helper.ts";

freshAgentForEachTest();

let folder: Deferred<void>;
let isAsked: boolean;

/** Whether the runner heeds its signal, as the real one does. */
let heeds: boolean;

beforeEach(async () => {
  heeds = false;
  folder = createDeferred();
  isAsked = false;
  const startAtOnce = runner.start.bind(runner);
  runner.start = async (spec, sink, mayStart, signal) => {
    const given = createDeferred();
    signal?.addEventListener("abort", () => heeds && given.resolve());
    await Promise.race([folder.promise, given.promise]);
    if (signal?.aborted === true && heeds) return { kind: "withheld" };
    isAsked = true;
    return (await mayStart?.()) === false ? { kind: "withheld" } : startAtOnce(spec, sink);
  };
  await welcome();
  await say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [] } });
  await assign(attemptA);
});

/** What has been answered meanwhile is not asked about again. */
async function answerFolder(asks = true): Promise<void> {
  expect(isAsked).toBe(false);
  folder.resolve();
  await ports.settle();
  expect(isAsked).toBe(asks);
  if (!asks) expect(runner.runs).toEqual([]);
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

  it("starts nothing under a hold that its owner has begun meanwhile: the task is given back", async () => {
    sayHold();
    await answerFolder();
    expect(runner.runs).toEqual([]);
    expect(supervisor.get(attemptA)?.result).toMatchObject({
      outcome: "evicted",
      sentence: "the owner keeps new work away; it ended before it was started",
      startedAtMs: null,
    });
    expect(sentOf("finished")).toHaveLength(1);
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

describe("a folder that never answers", () => {
  beforeEach(() => {
    heeds = true;
  });

  it("holds up no cancellation", async () => {
    await say({ $case: "cancel", value: { attemptId: attemptA, fence: 1, grace: undefined, reason: "by its owner" } });
    expect(supervisor.get(attemptA)?.result).toMatchObject({ outcome: "cancelled", startedAtMs: null });
    expect(sentOf("finished")).toHaveLength(1);
    await answerFolder(false);
  });

  it("holds up no end of a lease", async () => {
    await pass(59_000);
    expect(supervisor.get(attemptA)?.result).toBeNull();
    await pass(2_000);
    expect(supervisor.get(attemptA)?.result).toMatchObject({ outcome: "lease_expired", startedAtMs: null });
    await answerFolder(false);
  });

  it("holds up no stop of the agent", async () => {
    await supervisor.stop(4_000);
    expect(supervisor.get(attemptA)?.result).toMatchObject({ outcome: "evicted", startedAtMs: null });
    await answerFolder(false);
  });
});
