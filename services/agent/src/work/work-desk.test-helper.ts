/** One agent's work side on memory and a manual clock, as the tests of this folder use it. */
import { durationFromMs, wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { captureLogger, manualPorts, type CapturingLogger, type ManualPorts } from "@headroom/testing";
import { beforeEach } from "vitest";
import { createAdmission } from "../connection/admission.ts";
import { memoryJournal, type MemoryJournal } from "../journal/memory-journal.ts";
import { memoryOutputStores } from "../output/memory-segments.ts";
import type { OutputStores } from "../output/segment-store.ts";
import { createAttach, type Attach } from "./attach.ts";
import { fakeRunner, type FakeRunner } from "./fake-runner.test-helper.ts";
import { fakeStream, type FakeStream } from "./fake-stream.test-helper.ts";
import { createMachineRoom, type MachineRoom } from "./machine-room.ts";
import { StallWatch } from "./stall-watch.ts";
import { Supervisor } from "./supervisor.ts";

type Stream = FakeStream<wire.AttachResponse, wire.AttachRequest>;
type Sent = NonNullable<wire.AttachRequest["message"]>;
type ValueOf<K extends Sent["$case"]> = Extract<Sent, { $case: K }>["value"];
type Said = NonNullable<wire.AttachResponse["message"]>;

export const attemptA = "aaaaaaaa-0000-4000-8000-000000000000";
export const attemptB = "bbbbbbbb-0000-4000-8000-000000000000";

export let ports: ManualPorts;
export let logger: CapturingLogger;
export let runner: FakeRunner;
export let journal: MemoryJournal;
export let stores: OutputStores;
export let supervisor: Supervisor;
export let stalls: StallWatch;
export let attach: Attach;
export let streams: Stream[];
/** Knows nothing of its machine until a test tells it. */
export let room: MachineRoom;
/** What the sampler was told of how much CPU time ended programs had used, to count as use of the machine. */
export let countedCpuMs: (number | null)[];
let held: boolean;
/** What the next look finds. */
let said: boolean;
export let listChanges: number;
export let attachedChanges: boolean[];

/** A new agent program on the same disk. */
export async function boot(): Promise<void> {
  countedCpuMs = [];
  stalls = new StallWatch(ports.clock);
  room = createMachineRoom();
  supervisor = new Supervisor({
    ports,
    logger,
    journal,
    runner,
    stores,
    sampler: {
      takeTotal(_attemptId, exitCpuMs) {
        countedCpuMs.push(exitCpuMs);
        return { cpuMs: exitCpuMs ?? 0, memoryPeakMib: 512, vramPeakMib: 0 };
      },
    },
    maxAttempts: 3,
    room,
    isHeldByOwner: () => held,
    lookForHold() {
      held = said;
      return Promise.resolve();
    },
    onAttemptsChanged: () => (listChanges += 1),
  });
  await supervisor.load();
  const admission = createAdmission(ports.timers);
  admission.admitted();
  attach = createAttach({
    admission,
    ports,
    logger,
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

/** Call it once in a test file: what is exported here is then new for each of its tests. */
export function freshAgentForEachTest(): void {
  beforeEach(async () => {
    ports = manualPorts();
    logger = captureLogger();
    runner = fakeRunner();
    journal = memoryJournal();
    stores = memoryOutputStores();
    streams = [];
    holdByOwner(false);
    listChanges = 0;
    attachedChanges = [];
    await boot();
  });
}

/** The next agent program has this disk. */
export function useStores(next: OutputStores): void {
  stores = next;
}

/** The owner keeps new work away, or no longer does. */
export function holdByOwner(isHeld: boolean): void {
  held = isHeld;
  said = isHeld;
}

/** The owner has just said so, and nobody has looked since. */
export function sayHold(): void {
  said = true;
}

export const stream = (): Stream => streams.at(-1)!;
export const say = async (message: Said): Promise<void> => {
  stream().say({ message });
  await ports.settle();
};
/** What was sent of one kind; the kinds are told apart by `$case`, which the compiler cannot follow through a generic. */
export const sentOf = <K extends Sent["$case"]>(kind: K): ValueOf<K>[] =>
  stream().sent.flatMap(({ message }) => (message?.$case === kind ? [message.value as unknown as ValueOf<K>] : []));

export async function welcome(unwantedAttemptIds: string[] = [], takesReports = false): Promise<void> {
  await say({
    $case: "welcome",
    value: {
      orchestratorInstance: "o",
      renewInterval: durationFromMs(20_000),
      unwantedAttemptIds,
      takesReports,
    },
  });
}

export async function assign(attemptId: string, fence = 1, more: Partial<wire.Assignment> = {}): Promise<void> {
  await say({ $case: "assignment", value: { ...assignmentOf(attemptId, fence), ...more } });
}

export function assignmentOf(attemptId: string, fence = 1): wire.Assignment {
  return wire.Assignment.fromPartial({
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
}

/** Lets time pass as the agent sees it: with its ticks. */
export async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    await ports.advance(Math.min(1_000, left));
    supervisor.tick(stalls.tick());
    await ports.settle();
  }
}

export async function reconnect(): Promise<void> {
  const before = streams.length;
  stream().close(new HeadroomError({ code: "UNAVAILABLE", reason: "GONE", message: "gone" }));
  for (let step = 0; step < 100 && streams.length === before; step += 1) await ports.advance(500);
  await welcome();
}
