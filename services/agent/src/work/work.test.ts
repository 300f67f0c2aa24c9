import { durationFromMs, wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { silentLogger } from "@headroom/runtime";
import { manualPorts, type ManualPorts } from "@headroom/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { memoryJournal, type MemoryJournal } from "../journal/memory-journal.ts";
import { memoryOutputStores } from "../output/memory-segments.ts";
import type { OutputStores } from "../output/segment-store.ts";
import { createAttach, type Attach } from "./attach.ts";
import { fakeRunner, type FakeRunner } from "./fake-runner.test-helper.ts";
import { fakeStream, type FakeStream } from "./fake-stream.test-helper.ts";
import { StallWatch } from "./stall-watch.ts";
import { Supervisor } from "./supervisor.ts";

type Stream = FakeStream<wire.AttachResponse, wire.AttachRequest>;
type Sent = NonNullable<wire.AttachRequest["message"]>;
type ValueOf<K extends Sent["$case"]> = Extract<Sent, { $case: K }>["value"];
type Said = NonNullable<wire.AttachResponse["message"]>;

const attemptA = "aaaaaaaa-0000-4000-8000-000000000000";
const attemptB = "bbbbbbbb-0000-4000-8000-000000000000";

let ports: ManualPorts;
let runner: FakeRunner;
let journal: MemoryJournal;
let stores: OutputStores;
let supervisor: Supervisor;
let stalls: StallWatch;
let attach: Attach;
let streams: Stream[];
let held: boolean;
let listChanges: number;
let attachedChanges: boolean[];

/** A new agent program on the same disk. */
async function boot(): Promise<void> {
  stalls = new StallWatch(ports.clock);
  supervisor = new Supervisor({
    ports,
    logger: silentLogger,
    journal,
    runner,
    stores,
    sampler: { takeTotal: (_attemptId, exitCpuMs) => ({ cpuMs: exitCpuMs ?? 0, memoryPeakMib: 512, vramPeakMib: 0 }) },
    maxAttempts: 3,
    isHeldByOwner: () => held,
    onAttemptsChanged: () => (listChanges += 1),
  });
  await supervisor.load();
  attach = createAttach({
    ports,
    logger: silentLogger,
    agentId: "agent",
    incarnation: "incarnation",
    supervisor,
    stalls,
    onChange: () => attachedChanges.push(attach.isAttached()),
    open: () =>
      Promise.resolve(() => {
        const stream = fakeStream<wire.AttachResponse, wire.AttachRequest>();
        streams.push(stream);
        return stream;
      }),
  });
  await attach.start();
  await ports.settle();
}

beforeEach(async () => {
  ports = manualPorts();
  runner = fakeRunner();
  journal = memoryJournal();
  stores = memoryOutputStores();
  streams = [];
  held = false;
  listChanges = 0;
  attachedChanges = [];
  await boot();
});

const stream = (): Stream => streams.at(-1)!;
const say = async (message: Said): Promise<void> => {
  stream().say({ message });
  await ports.settle();
};
/** What was sent of one kind; the kinds are told apart by `$case`, which the compiler cannot follow through a generic. */
const sentOf = <K extends Sent["$case"]>(kind: K): ValueOf<K>[] =>
  stream().sent.flatMap(({ message }) => (message?.$case === kind ? [message.value as unknown as ValueOf<K>] : []));

async function welcome(unwantedAttemptIds: string[] = []): Promise<void> {
  await say({
    $case: "welcome",
    value: { orchestratorInstance: "o", renewInterval: durationFromMs(20_000), unwantedAttemptIds },
  });
}

async function assign(attemptId: string, fence = 1, more: Partial<wire.Assignment> = {}): Promise<void> {
  const assignment = wire.Assignment.fromPartial({
    attemptId,
    fence,
    taskId: "task",
    planId: "plan",
    command: { argv: ["work"] },
    amounts: { cpuCores: 1.5, memoryGb: 2, cards: [{ cardId: "gpu-0", vramGb: 3, exclusive: false }] },
    workLease: durationFromMs(60_000),
    acceptWithin: durationFromMs(5_000),
    cardIndexes: [0],
  });
  await say({ $case: "assignment", value: { ...assignment, ...more } });
}

/** Lets time pass as the agent sees it: with its ticks. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    await ports.advance(Math.min(1_000, left));
    supervisor.tick(stalls.tick());
    await ports.settle();
  }
}

async function reconnect(): Promise<void> {
  const before = streams.length;
  stream().close(new HeadroomError({ code: "UNAVAILABLE", reason: "GONE", message: "gone" }));
  for (let step = 0; step < 100 && streams.length === before; step += 1) await ports.advance(500);
  await welcome();
}

describe("the work stream", () => {
  it("says hello with what it holds, and is attached from the welcome to the close", async () => {
    expect(stream().sent[0]?.message).toEqual({
      $case: "hello",
      value: { agentId: "agent", incarnation: "incarnation", attempts: [] },
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

  it("journals an attempt before it answers, runs it, and lists it at once", async () => {
    await welcome();
    await assign(attemptA, 4);
    expect(journal.records[0]).toMatchObject({ kind: "accepted", attemptId: attemptA, fence: 4 });
    expect(sentOf("answer")).toEqual([{ attemptId: attemptA, fence: 4, accepted: true, reason: "" }]);
    expect(runner.runs[0]?.spec).toMatchObject({ argv: ["work"], cardIndexes: [0], taskId: "task", planId: "plan" });
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

  it("takes no new work under the owner's hold, when it is full, and when it stops; what runs goes on", async () => {
    await welcome();
    await assign(attemptA);
    held = true;
    await assign(attemptB);
    held = false;
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "OWNER_HOLD" });
    for (const index of [1, 2, 3]) await assign(`cccccccc-0000-4000-8000-00000000000${index}`);
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "TOO_MANY_ATTEMPTS" });
    expect(runner.runs).toHaveLength(3);
    const stopped = supervisor.stop(0);
    await assign("dddddddd-0000-4000-8000-000000000000");
    await stopped;
    expect(sentOf("answer").at(-1)).toMatchObject({ accepted: false, reason: "STOPPING" });
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
    expect(runner.leftovers).toEqual([{ attemptId: attemptA, pid: 1_001, startToken: "token" }]);
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
    expect(sentOf("finished")).toMatchObject([{ outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EVICTED }]);
    expect((await journal.open()).entries).toMatchObject([{ attemptId: attemptA, result: { outcome: "evicted" } }]);
  });
});
