import { durationFromMs, wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import {
  assign,
  assignmentOf,
  attach,
  attemptA,
  attemptB,
  boot,
  countedCpuMs,
  freshAgentForEachTest,
  journal,
  pass,
  ports,
  runner,
  say,
  sentOf,
  stalls,
  stream,
  streams,
  supervisor,
  welcome,
} from "./work-desk.test-helper.ts";

freshAgentForEachTest();

describe("a run_timeout", () => {
  it("counts from the start, also on a disk on which the note of it hangs", async () => {
    const append = journal.append.bind(journal);
    journal.append = (record) => (record.kind === "started" ? new Promise<void>(() => undefined) : append(record));
    await welcome();
    await say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [] } });
    await assign(attemptA, 1, { runTimeout: durationFromMs(30_000) });
    await pass(29_000);
    expect(runner.runs[0]?.graces).toEqual([]);
    await pass(2_000);
    expect(runner.runs[0]?.graces).toEqual([10_000]);
    expect(supervisor.get(attemptA)?.endCause?.outcome).toBe("timed_out");
  });
});

describe("leases", () => {
  it("asks for renewals at a third of the lease, and goes on as long as they come", async () => {
    await welcome();
    expect(sentOf("renew")).toEqual([{ attempts: [] }]);
    await say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [] } });
    await assign(attemptA);
    for (let round = 0; round < 10; round += 1) {
      await pass(20_000);
      await say({ $case: "renewed", value: { attemptIds: [attemptA], unwantedAttemptIds: [] } });
    }
    expect(sentOf("renew").at(-1)).toEqual({ attempts: [{ attemptId: attemptA, fence: 1, finished: false }] });
    expect(runner.runs[0]?.graces).toEqual([]);
  });

  it("asks for none of what has ended: its result may wait, and the orchestrator knows that it does", async () => {
    await welcome();
    await say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [] } });
    await assign(attemptA);
    await assign(attemptB);
    runner.runs[0]?.finish();
    await pass(20_000);
    expect(sentOf("finished")[0]).toMatchObject({ attemptId: attemptA });
    expect(sentOf("renew").at(-1)).toEqual({ attempts: [{ attemptId: attemptB, fence: 1, finished: false }] });
  });

  it("renews in time however often other work comes meanwhile", async () => {
    await welcome();
    await say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [] } });
    await assign(attemptA);
    const renewals = (): number => sentOf("renew").length;
    let answered = renewals();
    for (let each = 0; each < 40; each += 1) {
      await pass(3_000);
      await assign(`00000000-0000-4000-8000-${each.toString().padStart(12, "0")}`);
      if (renewals() === answered) continue;
      answered = renewals();
      await say({ $case: "renewed", value: { attemptIds: [attemptA], unwantedAttemptIds: [] } });
    }
    // Two minutes with a lease of one: at least every third of it, over one stream, and nothing was ended.
    expect(streams).toHaveLength(1);
    expect(renewals()).toBeGreaterThanOrEqual(6);
    expect(runner.runs[0]?.graces).toEqual([]);
  });

  it("ends its own work when the lease ends without a renewal", async () => {
    await welcome();
    await assign(attemptA);
    stream().close();
    await pass(59_000);
    expect(runner.runs[0]?.graces).toEqual([]);
    await pass(2_000);
    expect(runner.runs[0]?.graces).toEqual([10_000]);
    expect(supervisor.get(attemptA)?.result).toMatchObject({ outcome: "lease_expired" });
  });

  it("takes a stream for dead on which a renewal is not answered", async () => {
    await welcome();
    await ports.advance(15_000);
    expect(attach.isAttached()).toBe(false);
  });

  it("stops work that the machine slept over until it is renewed, and ends it if it is not", async () => {
    await welcome();
    await assign(attemptA);
    await assign(attemptB);
    stream().close();
    await ports.settle();
    ports.clock.pass(3_600_000);
    supervisor.tick(stalls.tick());
    expect(runner.runs.map((run) => run.frozen)).toEqual([true, true]);
    for (let step = 0; streams.length < 2; step += 1) await ports.advance(500);
    await welcome();
    await say({ $case: "renewed", value: { attemptIds: [attemptA], unwantedAttemptIds: [] } });
    expect(runner.runs.map((run) => run.frozen)).toEqual([false, true]);
    await pass(61_000);
    expect(supervisor.get(attemptB)?.result?.outcome).toBe("lease_expired");
    // It may run elsewhere by now: killed as it stands, without a moment to go on.
    expect(runner.runs[1]?.graces).toEqual([0]);
  });

  it("DESIGN-5: of what slept until its task may run elsewhere nothing goes on in order to end, whoever ends it", async () => {
    await welcome();
    await assign(attemptA);
    await assign(attemptB);
    stream().close();
    await ports.settle();
    ports.clock.pass(89_999);
    supervisor.tick(stalls.tick());
    supervisor.unwanted([attemptA]);
    ports.clock.pass(1);
    supervisor.unwanted([attemptB]);
    expect(runner.runs.map((run) => run.graces)).toEqual([[1], [0]]);
  });

  it("DESIGN-5: a long grace ends when the task may run elsewhere", async () => {
    await welcome();
    await assign(attemptA);
    const run = supervisor.get(attemptA)?.run;
    const graces: number[] = [];
    // It heeds no TERM.
    if (run) run.end = (graceMs) => void graces.push(graceMs);
    supervisor.cancel(attemptA, 1, 3_600_000, "");
    expect(graces).toEqual([90_000]);
    stream().close();
    await pass(89_000);
    expect(graces).toEqual([90_000]);
    await pass(1_000);
    expect(graces).toEqual([90_000, 0]);
  });

  it("ends what the orchestrator no longer wants", async () => {
    await welcome();
    await assign(attemptA);
    await assign(attemptB);
    await say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [attemptA] } });
    expect(sentOf("finished")).toMatchObject([
      { attemptId: attemptA, outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED },
    ]);
    stream().close();
    for (let step = 0; streams.length < 2; step += 1) await ports.advance(500);
    await welcome([attemptB]);
    expect(supervisor.get(attemptB)?.result?.outcome).toBe("cancelled");
  });
});

describe("cancel and time-out", () => {
  it("cancels with the grace given, and not with a stale fence", async () => {
    await welcome();
    await assign(attemptA, 3);
    await say({ $case: "cancel", value: { attemptId: attemptA, fence: 2, grace: undefined, reason: "" } });
    expect(runner.runs[0]?.graces).toEqual([]);
    await say({
      $case: "cancel",
      value: { attemptId: attemptA, fence: 3, grace: durationFromMs(2_000), reason: "asked" },
    });
    expect(runner.runs[0]?.graces).toEqual([2_000]);
    expect(sentOf("finished")).toMatchObject([
      { outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED, signal: "SIGTERM" },
    ]);
  });

  it("starts nothing of an assignment whose cancellation comes right behind it, and reports it as cancelled", async () => {
    await welcome();
    stream().say({ message: { $case: "assignment", value: assignmentOf(attemptA) } });
    await say({ $case: "cancel", value: { attemptId: attemptA, fence: 1, grace: undefined, reason: "asked" } });
    expect(runner.runs).toEqual([]);
    expect(sentOf("answer")).toMatchObject([{ accepted: true }]);
    expect(sentOf("finished")).toMatchObject([{ outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED }]);
  });

  it("ends what runs longer than its run_timeout", async () => {
    await welcome();
    await assign(attemptA, 1, { runTimeout: durationFromMs(3_000) });
    await ports.advance(3_000);
    expect(sentOf("finished")).toMatchObject([
      { outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_TIMED_OUT, sentence: expect.stringContaining("3 s") },
    ]);
  });
});

describe("a restart of the agent program", () => {
  it("ends what the one before left running, says AGENT_RESTARTED, and lists it until it is gone", async () => {
    await welcome();
    await assign(attemptA, 2);
    let gone: (count: number) => void = () => undefined;
    runner.endLeftover = (leftover) => {
      runner.leftovers.push(leftover);
      return new Promise((resolve) => {
        gone = resolve;
      });
    };
    await boot();
    expect(runner.leftovers).toEqual([{ attemptId: attemptA, pid: 1_001, startToken: "token", startedAtMs: 1_000 }]);
    expect(sentOf("hello")).toMatchObject([{ attempts: [{ attemptId: attemptA, fence: 2, finished: false }] }]);
    expect(supervisor.listed()).toHaveLength(1);
    await welcome();
    gone(2);
    await ports.settle();
    expect(supervisor.listed()).toEqual([]);
    expect(sentOf("finished")).toMatchObject([
      { fence: 2, outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_AGENT_RESTARTED },
    ]);
    expect(runner.runs).toHaveLength(1);
  });

  it("I1: a program that had ended keeps its outcome, though the agent was killed before all of it was known to be gone", async () => {
    await welcome();
    await assign(attemptA, 2);
    await assign(attemptB, 2);
    runner.runs[0]?.exit({ exitCode: 3, cpuMs: 3_600_000 });
    await say({ $case: "cancel", value: { attemptId: attemptB, fence: 2, grace: undefined, reason: "asked" } });
    let gone: (count: number) => void = () => undefined;
    runner.endLeftover = (leftover) => {
      runner.leftovers.push(leftover);
      return new Promise((resolve) => {
        gone = resolve;
      });
    };
    await boot();
    // Whoever has its number now is a stranger.
    expect(runner.leftovers).toMatchObject([{ attemptId: attemptA, pid: null }]);
    expect(sentOf("hello")).toMatchObject([
      {
        attempts: [
          { attemptId: attemptA, finished: false },
          { attemptId: attemptB, finished: true },
        ],
      },
    ]);
    await welcome();
    // It has ended by itself: whatever is wanted of it comes too late.
    await say({ $case: "cancel", value: { attemptId: attemptA, fence: 2, grace: undefined, reason: "asked" } });
    expect(supervisor.listed()).toMatchObject([{ attemptId: attemptA, pid: null }]);
    gone(1);
    await ports.settle();
    // V25: what it used is its own, and no use of the machine since the last sample.
    expect(countedCpuMs).toEqual([null]);
    expect(supervisor.listed()).toEqual([]);
    expect(sentOf("finished").find(({ attemptId }) => attemptId === attemptA)).toMatchObject({
      fence: 2,
      outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED,
      exitCode: 3,
      sentence: expect.stringContaining("1 process(es) of it were ended"),
      finishedAt: { seconds: 1, nanos: 500_000_000 },
      used: { cpuSeconds: 3_600 },
    });
    expect(runner.runs).toHaveLength(2);
  });

  it("I1: a program that was ended on purpose keeps why", async () => {
    await welcome();
    await assign(attemptA);
    const run = supervisor.get(attemptA)?.run;
    if (run) run.end = () => runner.runs[0]?.exit({ exitCode: null, signal: "SIGTERM" });
    await say({ $case: "cancel", value: { attemptId: attemptA, fence: 1, grace: undefined, reason: "asked" } });
    await boot();
    await welcome();
    expect(sentOf("finished")).toMatchObject([
      {
        outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED,
        signal: "SIGTERM",
        sentence: expect.stringContaining("it was cancelled: asked"),
      },
    ]);
  });

  it("V8: what may be a leftover and cannot be told from a stranger counts as running until it is gone, or an hour is over", async () => {
    await welcome();
    await assign(attemptA, 2);
    await assign(attemptB, 2);
    let isThere = true;
    runner.endLeftover = ({ attemptId }) => Promise.resolve(isThere || attemptId === attemptB ? null : 0);
    await boot();
    await welcome();
    await ports.advance(600_000);
    expect(supervisor.listed()).toHaveLength(2);
    isThere = false;
    await ports.advance(10_000);
    expect(supervisor.listed()).toMatchObject([{ attemptId: attemptB }]);
    await ports.advance(3_600_000);
    expect(supervisor.listed()).toEqual([]);
  });

  it("V8: a stop leaves it to the next start, and does not wait", async () => {
    await welcome();
    await assign(attemptA, 2);
    runner.endLeftover = () => Promise.resolve(null);
    await boot();
    await welcome();
    await supervisor.stop(4_000);
    expect((await journal.open()).entries).toMatchObject([{ attemptId: attemptA, result: null }]);
  });

  it("sends a result that was not acknowledged, and its output, and runs nothing twice", async () => {
    await welcome();
    await assign(attemptA);
    await runner.runs[0]?.sink("stderr", Buffer.from("last words"));
    runner.runs[0]?.finish({ exitCode: 1 });
    await ports.settle();
    await supervisor.close();
    await boot();
    await welcome();
    expect(sentOf("finished")).toMatchObject([{ attemptId: attemptA, exitCode: 1, lastOutputSeq: 1 }]);
    expect(sentOf("output").map((output) => output.data.toString())).toEqual(["last words"]);
    await assign(attemptA, 7);
    expect(sentOf("answer")).toMatchObject([{ accepted: true }]);
    expect(sentOf("finished").at(-1)).toMatchObject({ fence: 7, exitCode: 1 });
    expect(runner.runs).toHaveLength(1);
  });

  it("DESIGN-3: evicts what outlasts a drain's deadline, once, and leaves the rest alone", async () => {
    await welcome();
    await assign(attemptA);
    await assign(attemptB);
    supervisor.evict([attemptA, "an attempt of nobody"]);
    supervisor.evict([attemptA]);
    await ports.settle();
    expect(runner.runs.map(({ graces }) => graces)).toEqual([[10_000], []]);
    expect(sentOf("finished")).toMatchObject([
      {
        attemptId: attemptA,
        outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EVICTED,
        sentence: expect.stringContaining("the drain's deadline has passed"),
      },
    ]);
  });

  it("evicts what runs when it stops, and keeps the results", async () => {
    await welcome();
    await assign(attemptA);
    await supervisor.stop(4_000);
    expect(runner.runs[0]?.graces).toEqual([4_000]);
    // What cannot be told keeps no result from being written before the stop is over.
    expect(runner.isStopping).toBe(true);
    expect(sentOf("finished")).toMatchObject([{ outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EVICTED }]);
    expect((await journal.open()).entries).toMatchObject([{ attemptId: attemptA, result: { outcome: "evicted" } }]);
  });
});
