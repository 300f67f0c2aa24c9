import { durationFromMs, wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { describe, expect, it } from "vitest";
import {
  assign,
  assignmentOf,
  attach,
  attachedChanges,
  attemptA,
  attemptB,
  freshAgentForEachTest,
  holdByOwner,
  journal,
  pass,
  listChanges,
  ports,
  reconnect,
  room,
  runner,
  say,
  sayHold,
  sentOf,
  stores,
  stream,
  streams,
  supervisor,
  welcome,
} from "./work-desk.test-helper.ts";

freshAgentForEachTest();

describe("the work stream", () => {
  it("says hello with what it holds, and is attached from the welcome to the close", async () => {
    expect(stream().sent[0]?.message).toEqual({
      $case: "hello",
      value: { agentId: "agent", incarnation: "incarnation", attempts: [], takesItems: true },
    });
    expect(attach.isAttached()).toBe(false);
    await welcome();
    expect(attach.isAttached()).toBe(true);
    stream().close();
    await ports.settle();
    expect(attach.isAttached()).toBe(false);
    expect(attachedChanges).toEqual([true, false]);
  });

  it("gives a stream up that does not welcome it, and never gives the service up", async () => {
    await ports.advance(3_600_000);
    expect(streams.length).toBeGreaterThan(100);
  });

  it("comes back within the time that a stopping service names", async () => {
    await welcome();
    await say({ $case: "reconnect", value: { within: durationFromMs(3_000) } });
    expect(stream().ended).toBe(true);
    stream().close();
    await ports.advance(3_000);
    expect(streams).toHaveLength(2);
  });

  it("takes several assignments and acknowledgements as one message, and says as one what it says in one moment", async () => {
    await welcome([], true);
    const assigned = [attemptA, attemptB].map((attemptId) => assignmentOf(attemptId));
    await say({
      $case: "items",
      value: { items: assigned.map((value) => ({ item: { $case: "assignment", value } })) },
    });
    expect(journal.records.slice(0, 2).map(({ kind }) => kind)).toEqual(["accepted", "accepted"]);
    const reports = (): readonly (string | undefined)[] =>
      sentOf("reports").flatMap(({ reports: all }) =>
        all.map(({ report }) => report && `${report.$case} ${report.value.attemptId.slice(0, 1)}`),
      );
    expect(reports()).toEqual(["answer a", "answer b", "started a", "started b"]);
    for (const run of runner.runs) run.finish();
    await ports.settle();
    expect(reports().slice(4)).toEqual(["finished a", "finished b"]);
    const acks = [attemptA, attemptB].map((attemptId) => ({ attemptId, refused: false }));
    await say({ $case: "items", value: { items: acks.map((value) => ({ item: { $case: "finishedAck", value } })) } });
    expect(supervisor.held()).toEqual([]);
  });

  it("journals an attempt before it answers, runs it, and lists it at once", async () => {
    await welcome();
    await assign(attemptA, 4);
    expect(journal.records[0]).toMatchObject({ kind: "accepted", attemptId: attemptA, fence: 4 });
    expect(sentOf("answer")).toEqual([{ attemptId: attemptA, fence: 4, accepted: true, reason: "" }]);
    expect(runner.runs[0]?.spec).toMatchObject({
      argv: ["work"],
      cards: [{ cardId: "gpu-0", index: 0 }],
      taskId: "task",
      planId: "plan",
    });
    expect(sentOf("started")).toMatchObject([{ attemptId: attemptA, fence: 4, pid: 1_001 }]);
    expect(supervisor.listed()).toEqual([
      {
        attemptId: attemptA,
        fence: 4,
        pid: 1_001,
        reserved: {
          cpuMillicores: 1_500,
          memoryMib: 2_048,
          cards: [{ cardId: "gpu-0", vramMib: 3_072, exclusive: false }],
        },
      },
    ]);
    expect(listChanges).toBe(1);
  });

  it("does not answer before the journal has it", async () => {
    await welcome();
    let release: () => void = () => undefined;
    const append = journal.append.bind(journal);
    journal.append = (record) =>
      new Promise((resolve) => {
        release = () => void append(record).then(resolve);
      });
    await assign(attemptA);
    expect(sentOf("answer")).toEqual([]);
    expect(runner.runs).toHaveLength(0);
    expect(supervisor.listed()).toEqual([]);
    journal.append = append;
    release();
    await ports.settle();
    expect(sentOf("answer")).toMatchObject([{ accepted: true }]);
    expect(runner.runs).toHaveLength(1);
  });

  it("takes nothing that the journal cannot hold", async () => {
    await welcome();
    const append = journal.append.bind(journal);
    journal.append = () => Promise.reject(new Error("ENOSPC"));
    await assign(attemptA);
    journal.append = append;
    expect(sentOf("answer")).toMatchObject([{ accepted: false, reason: "JOURNAL_FAILED" }]);
    expect(runner.runs).toHaveLength(0);
    expect(supervisor.held()).toEqual([]);
  });

  it("runs the same attempt once, however often it is given", async () => {
    await welcome();
    await assign(attemptA);
    await assign(attemptA);
    expect(sentOf("answer")).toMatchObject([{ accepted: true }, { accepted: true }]);
    expect(runner.runs).toHaveLength(1);
    runner.runs[0]?.finish({ exitCode: 5 });
    await ports.settle();
    await assign(attemptA);
    expect(sentOf("answer")).toHaveLength(3);
    expect(sentOf("finished").map((finished) => finished.exitCode)).toEqual([5, 5]);
    expect(runner.runs).toHaveLength(1);
  });

  it("takes a running attempt over under a higher fence, and refuses a lower one", async () => {
    await welcome();
    await assign(attemptA, 2);
    await assign(attemptA, 5);
    await assign(attemptA, 4);
    expect(sentOf("answer").map((answer) => [answer.fence, answer.accepted, answer.reason])).toEqual([
      [2, true, ""],
      [5, true, ""],
      [4, false, "STALE_FENCE"],
    ]);
    expect(runner.runs).toHaveLength(1);
    expect(journal.records).toContainEqual({ kind: "adopted", attemptId: attemptA, fence: 5 });
    runner.runs[0]?.finish();
    await ports.settle();
    expect(sentOf("finished")).toMatchObject([{ fence: 5 }]);
  });

  it("refuses what it reads too late, and a copy of it too", async () => {
    await welcome();
    await assign(attemptA, 1, { acceptWithin: durationFromMs(0) });
    await assign(attemptA, 1);
    expect(sentOf("answer").map((answer) => answer.reason)).toEqual(["TOO_LATE", "TOO_LATE"]);
    // The machine slept: what is read on waking may have waited all the time.
    ports.clock.pass(60_000);
    await assign(attemptB);
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "TOO_LATE" });
    expect(runner.runs).toHaveLength(0);
  });

  it("refuses what the disk wrote down too late, and forgets it", async () => {
    await welcome();
    const append = journal.append.bind(journal);
    journal.append = async (record) => {
      if (record.kind === "accepted") ports.clock.pass(4_900);
      ports.clock.pass(200);
      await append(record);
    };
    await assign(attemptA);
    journal.append = append;
    expect(sentOf("answer")).toMatchObject([{ accepted: false, reason: "TOO_LATE" }]);
    expect(runner.runs).toHaveLength(0);
    expect((await journal.open()).entries).toEqual([]);
  });

  it("DESIGN-3: takes no more than the machine has, whatever was promised elsewhere; what has ended makes room", async () => {
    await welcome();
    // An assignment of these tests takes 1.5 cores.
    room.note(wire.Sample.fromPartial({ cpuMillicores: { total: 2_000, available: 2_000 } }));
    await assign(attemptA);
    await assign(attemptB);
    expect(sentOf("answer").map(({ accepted, reason }) => [accepted, reason])).toEqual([
      [true, ""],
      [false, "NO_ROOM"],
    ]);
    runner.runs[0]!.finish();
    await ports.settle();
    await assign("cccccccc-0000-4000-8000-000000000001");
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: true });
  });

  it("takes no new work under the owner's hold, when it is full, and when it stops; what runs goes on", async () => {
    await welcome();
    await assign(attemptA);
    holdByOwner(true);
    await assign(attemptB);
    holdByOwner(false);
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "OWNER_HOLD" });
    for (const index of [1, 2, 3]) await assign(`cccccccc-0000-4000-8000-00000000000${index}`);
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "TOO_MANY_ATTEMPTS" });
    expect(runner.runs).toHaveLength(3);
    const stopped = supervisor.stop(0);
    await assign("dddddddd-0000-4000-8000-000000000000");
    await stopped;
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "STOPPING" });
  });

  it("takes nothing under a hold of which it has not heard yet, and may take it later", async () => {
    await welcome();
    await assign(attemptA);
    sayHold();
    await assign(attemptB);
    expect(sentOf("answer").at(-1)).toMatchObject({ attemptId: attemptB, accepted: false, reason: "OWNER_HOLD" });
    expect(runner.runs).toHaveLength(1);
    expect(supervisor.held().map(({ attemptId }) => attemptId)).toEqual([attemptA]);
    holdByOwner(false);
    await assign(attemptB, 2);
    expect(sentOf("answer").at(-1)).toMatchObject({ attemptId: attemptB, accepted: true });
  });

  it("tells the result with all it knows, after the output, and forgets it when it is acknowledged", async () => {
    await welcome();
    await assign(attemptA);
    await runner.runs[0]?.sink("stdout", Buffer.from("hello"));
    runner.runs[0]?.finish({ exitCode: 3, leftBehind: 2 });
    await ports.settle();
    const kinds = stream().sent.map(({ message }) => message?.$case);
    expect(kinds.indexOf("output")).toBeLessThan(kinds.indexOf("finished"));
    expect(sentOf("output")).toMatchObject([
      { attemptId: attemptA, fence: 1, seq: 1, stream: wire.OutputStream.OUTPUT_STREAM_STDOUT },
    ]);
    expect(sentOf("finished")).toMatchObject([
      {
        outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED,
        exitCode: 3,
        lastOutputSeq: 1,
        sentence: expect.stringContaining("2 process(es)"),
        used: { cpuSeconds: 0.01, memoryPeakGb: 0.5 },
      },
    ]);
    expect(supervisor.listed()).toEqual([]);
    expect(supervisor.held()).toHaveLength(1);
    await say({ $case: "outputAck", value: { attemptId: attemptA, seq: 1 } });
    await say({ $case: "finishedAck", value: { attemptId: attemptA, refused: false } });
    expect(supervisor.held()).toEqual([]);
    expect(await stores.list()).toEqual([]);
    await assign(attemptA, 9);
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "ALREADY_FINISHED" });
  });

  it("says why a command could not be started", async () => {
    await welcome();
    runner.failWith = "the program was not found";
    await assign(attemptA);
    expect(sentOf("finished")).toMatchObject([
      {
        outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_SPAWN_FAILED,
        sentence: "the program was not found",
        startedAt: undefined,
      },
    ]);
  });

  it("a machine that can start nothing gives the task back, no run of it, and takes nothing for half a minute", async () => {
    await welcome();
    Object.assign(runner, { failWith: "the system allows no more processes", isMachine: true });
    await assign(attemptA);
    expect(sentOf("finished")).toMatchObject([
      {
        outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EVICTED,
        sentence: "the system allows no more processes",
        startedAt: undefined,
      },
    ]);
    Object.assign(runner, { failWith: null, isMachine: false });
    await assign(attemptB);
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "CANNOT_START" });
    await pass(31_000);
    await assign(attemptB, 2);
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: true });
  });

  it("I6: a machine on which nobody can tell who is gone takes nothing new until it can", async () => {
    await welcome();
    runner.seesNobody = true;
    await assign(attemptA);
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "CANNOT_START" });
    runner.seesNobody = false;
    await assign(attemptA, 2);
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: true });
  });

  it("goes on without a stream, and delivers output and result after it came back, once acknowledged never again", async () => {
    await welcome();
    await assign(attemptA);
    const run = runner.runs[0]!;
    stream().close(new HeadroomError({ code: "UNAVAILABLE", reason: "GONE", message: "gone" }));
    await run.sink("stdout", Buffer.from("while away"));
    run.finish({ exitCode: 0 });
    for (let step = 0; streams.length < 2; step += 1) await ports.advance(500);
    expect(stream().sent[0]?.message).toMatchObject({
      value: { attempts: [{ attemptId: attemptA, fence: 1, finished: true }] },
    });
    await welcome();
    expect(sentOf("output").map((output) => output.data.toString())).toEqual(["while away"]);
    expect(sentOf("finished")).toHaveLength(1);
    await reconnect();
    expect(sentOf("finished")).toHaveLength(1);
    await say({ $case: "finishedAck", value: { attemptId: attemptA, refused: false } });
    await reconnect();
    expect(sentOf("finished")).toEqual([]);
    expect(sentOf("hello")).toMatchObject([{ attempts: [] }]);
  });

  it("holds output back at the window and goes on with each acknowledgement", async () => {
    await welcome();
    await assign(attemptA);
    for (let piece = 0; piece < 8; piece += 1) await runner.runs[0]?.sink("stdout", Buffer.alloc(65_536, piece));
    await ports.settle();
    expect(sentOf("output")).toHaveLength(4);
    await say({ $case: "outputAck", value: { attemptId: attemptA, seq: 2 } });
    expect(sentOf("output")).toHaveLength(6);
    stream().isFull = true;
    await say({ $case: "outputAck", value: { attemptId: attemptA, seq: 5 } });
    expect(sentOf("output")).toHaveLength(7);
    stream().isFull = false;
    stream().drain();
    await ports.settle();
    expect(sentOf("output").map((output) => output.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("does not let a result wait for ever behind output that nobody acknowledges", async () => {
    await welcome();
    await assign(attemptA);
    for (let piece = 0; piece < 8; piece += 1) await runner.runs[0]?.sink("stdout", Buffer.alloc(65_536));
    runner.runs[0]?.finish();
    await ports.settle();
    expect(sentOf("finished")).toEqual([]);
    await ports.advance(2_000);
    expect(sentOf("finished")).toHaveLength(1);
    // The rest of the output still follows.
    await say({ $case: "finishedAck", value: { attemptId: attemptA, refused: false } });
    await say({ $case: "outputAck", value: { attemptId: attemptA, seq: 4 } });
    expect(sentOf("output")).toHaveLength(8);
    await say({ $case: "outputAck", value: { attemptId: attemptA, seq: 8 } });
    expect(await stores.list()).toEqual([]);
  });

  it("reminds of a result that nobody acknowledged", async () => {
    await welcome();
    await assign(attemptA);
    runner.runs[0]?.finish();
    await ports.settle();
    for (let step = 0; step < 4; step += 1) {
      await ports.advance(10_000);
      await say({ $case: "renewed", value: { attemptIds: [], unwantedAttemptIds: [] } });
    }
    expect(sentOf("finished").length).toBeGreaterThan(1);
  });
});
