/** A work stream whose messages a store cannot write: what becomes of them, and of the stream. */
import { wire } from "@headroom/contracts";
import type { CallContext, HeadroomError } from "@headroom/rpc";
import { createDeferred, nextTurn } from "@headroom/runtime";
import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { mapStoreError } from "../rpc/map-store-error.ts";
import type { AssignmentToSend, AttemptKnown } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";
import { type AgentMessagesOptions, createAgentMessages } from "./agent-messages.ts";
import { attach, type AttachOptions } from "./attach.ts";
import type { WorkStream } from "./session.ts";

const agentId = "6b8e6c1e-6e0a-4c3a-9d3f-0d3f0a0c9a01";
const attemptOf = (n: number) => ({ attemptId: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`, fence: 1 });
const knownOf = (n: number, state: AttemptKnown["state"]): AttemptKnown => ({
  ...attemptOf(n),
  agentId,
  state,
  planId: "plan",
  taskId: "task",
  sent: true,
  cancelRequested: false,
});
const assignmentOf = (attemptId: string): AssignmentToSend => ({
  attemptId,
  fence: 1,
  taskId: "task",
  planId: "plan",
  taskName: "",
  agentId,
  command: { argv: ["work"], env: {}, workingDir: null },
  amounts: { cpuMillicores: 1_000, memoryMib: 0, cards: [] },
  cardIndexes: [],
  runTimeoutMs: null,
  workLeaseMs: 60_000,
  acceptWithinMs: 10_000,
  cancelRequested: false,
});
const zeros = Buffer.alloc(65_536);
const databaseError = (code: string): Error => Object.assign(new Error(code), { code });

/** An agent that has said hello, on a stream whose messages are taken one after the other, as a socket's are. */
async function attached(changes: Partial<OrchestratorStore>) {
  const ports = manualPorts();
  const logger = captureLogger();
  const sent: NonNullable<wire.AttachResponse["message"]>[] = [];
  const failures: HeadroomError[] = [];
  let take: (message: wire.AttachRequest) => Promise<void> | void = () => undefined;
  let close: (error: HeadroomError | null) => void = () => undefined;
  const stream = {
    send: ({ message }: wire.AttachResponse) => message === undefined || sent.push(message) > 0,
    fail: (error: HeadroomError) => failures.push(error),
    end: () => undefined,
    onMessage: (handler: typeof take) => (take = handler),
    onClose: (handler: typeof close) => (close = handler),
    onPeerEnd: () => undefined,
  } as unknown as WorkStream;
  const store = {
    findAttempts: () => Promise.resolve([]),
    openAttempts: () => Promise.resolve([]),
    takeToSendAgain: () => Promise.resolve({ assignments: [], inUse: [] }),
    lastSentAt: () => Promise.resolve(null),
    renewLeases: (attempts: readonly unknown[]) =>
      Promise.resolve({ renewed: attempts.map((_, index) => knownOf(index, "assigned")), inUse: [] }),
    ...changes,
  };
  const nothing = (): void => undefined;
  const common = { store, ports, planChanged: nothing, attemptChanged: nothing };
  const messages = createAgentMessages(common as unknown as AgentMessagesOptions);
  const options = {
    ...common,
    instance: "here",
    messages,
    mapError: mapStoreError,
    avoided: { forgive: nothing },
    sessions: { add: nothing, remove: (session: { markClosed(): void }) => session.markClosed() },
  } as unknown as AttachOptions;
  attach(options, stream, { caller: { kind: "local" }, logger } as unknown as CallContext);
  let reading: Promise<void> = Promise.resolve();
  const say = (message: wire.AttachRequest["message"]): Promise<void> =>
    (reading = reading.then(() => take(wire.AttachRequest.fromPartial({ message }))));
  await say({ $case: "hello", value: wire.AttachHello.fromPartial({ agentId, attempts: [attemptOf(0)] }) });
  const renew = (attempts: number) =>
    say({
      $case: "renew",
      value: { attempts: Array.from({ length: attempts }, (_, n) => ({ ...attemptOf(n), finished: false })) },
    });
  const accept = (n: number) =>
    say({ $case: "answer", value: wire.AssignmentAnswer.fromPartial({ ...attemptOf(n), accepted: true }) });
  const outcome = wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED;
  const finish = (n: number) =>
    say({ $case: "finished", value: wire.AttemptFinished.fromPartial({ ...attemptOf(n), outcome }) });
  const print = (n: number, seq: number, bytes: number) => {
    const piece = { seq, stream: wire.OutputStream.OUTPUT_STREAM_STDOUT, data: zeros.subarray(0, bytes) };
    return say({ $case: "output", value: wire.AttemptOutput.fromPartial({ ...attemptOf(n), ...piece }) });
  };
  const heard = (kind: string): number => sent.filter(({ $case }) => $case === kind).length;
  return { ports, logger, sent, failures, renew, accept, finish, print, heard, close: () => close(null) };
}

it("I9: the stream is read on, and leases renewed, however many attempts of a locked plan wait to be accepted", async () => {
  const asked = new Map<string, number>();
  const desk = await attached({
    openAttempts: () => Promise.resolve([knownOf(0, "assigned")]),
    acceptAttempt: ({ attemptId }, _agentId, patience) => {
      asked.set(attemptId, (asked.get(attemptId) ?? 0) + 1);
      patience?.onLocked();
      return new Promise(() => undefined);
    },
  });
  expect(desk.heard("welcome")).toBe(1);
  for (let n = 0; n < 3_000; n += 1) await desk.accept(n);
  for (let renewal = 1; renewal <= 3; renewal += 1) {
    await desk.renew(3_000);
    await nextTurn();
    expect(desk.heard("renewed")).toBe(renewal);
  }
  // By its answer and by one renewal: those that come later add nothing.
  expect(new Set(asked.values())).toEqual(new Set([2]));
  expect(desk.failures).toEqual([]);
});

it("a message in whose way somebody's lock is, is tried again for as long as the stream lasts, and tells so once", async () => {
  let tries = 0;
  const desk = await attached({
    acceptAttempt: (attempt) => {
      tries += 1;
      if (tries < 12) return Promise.reject(databaseError(tries === 1 ? "55P03" : "40P01"));
      return Promise.resolve({ ...knownOf(1, "running"), ...attempt });
    },
  });
  await desk.accept(1);
  for (let n = 0; n < 4; n += 1) {
    await nextTurn();
    await desk.ports.advance(10_000);
  }
  await nextTurn();
  expect([tries, desk.failures]).toEqual([12, []]);
  const told = desk.logger.records.filter(({ message }) => message.includes("lock"));
  expect(told.map(({ level }) => level)).toEqual(["warn", "info"]);
});

it("it is not tried any more when the stream has ended, and nobody hears of it", async () => {
  let tries = 0;
  const desk = await attached({
    acceptAttempt: () => {
      tries += 1;
      return Promise.reject(databaseError("55P03"));
    },
  });
  await desk.accept(1);
  await nextTurn();
  desk.close();
  await desk.ports.advance(60_000);
  expect([tries, desk.failures]).toEqual([1, []]);
  expect(desk.logger.records.filter(({ level }) => level === "error")).toEqual([]);
});

it("a database that is away ends the stream: the agent comes back and says it again", async () => {
  const desk = await attached({ acceptAttempt: () => Promise.reject(databaseError("57P01")) });
  await desk.accept(1);
  await nextTurn();
  expect(desk.failures).toMatchObject([{ reason: "DATABASE_UNAVAILABLE" }]);
});

it("what is only busy for a moment, as an attempt is with its own output, is written a moment later", async () => {
  let tries = 0;
  const desk = await attached({
    appendOutput: () => {
      tries += 1;
      return tries === 1 ? Promise.reject(databaseError("55P03")) : Promise.resolve(1);
    },
  });
  await desk.print(1, 1, 10);
  await nextTurn();
  await desk.ports.advance(20);
  await nextTurn();
  expect([tries, desk.heard("outputAck")]).toEqual([2, 1]);
});

it("what is only busy for some seconds is nothing to tell of", async () => {
  let tries = 0;
  const desk = await attached({
    acceptAttempt: (attempt) => {
      tries += 1;
      return tries < 10
        ? Promise.reject(databaseError("55P03"))
        : Promise.resolve({ ...knownOf(1, "running"), ...attempt });
    },
  });
  await desk.accept(1);
  await nextTurn();
  await desk.ports.advance(9_000);
  expect(tries).toBe(10);
  expect(desk.logger.records.filter(({ message }) => message.includes("lock"))).toEqual([]);
});

it("a database that is too slow for it is tried three times, and is nobody's lock", async () => {
  let tries = 0;
  const desk = await attached({
    acceptAttempt: () => {
      tries += 1;
      return Promise.reject(databaseError("57014"));
    },
  });
  await desk.accept(1);
  for (let n = 0; n < 4; n += 1) {
    await nextTurn();
    await desk.ports.advance(10_000);
  }
  expect(tries).toBe(3);
  expect(desk.failures).toMatchObject([{ reason: "DATABASE_BUSY" }]);
  expect(desk.logger.records.filter(({ message }) => message.includes("lock"))).toEqual([]);
});

it("a result that is said again while it waits to be written waits once", async () => {
  let tries = 0;
  const written = createDeferred<null>();
  const desk = await attached({
    finishAttempt: () => {
      tries += 1;
      return written.promise;
    },
  });
  for (let n = 0; n < 3; n += 1) await desk.finish(1);
  written.resolve(null);
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  expect([tries, desk.heard("finishedAck")]).toEqual([1, 1]);
  // Once it is written it may be asked about again.
  await desk.finish(1);
  await nextTurn();
  expect(tries).toBe(2);
});

it("DESIGN 5: the lease of an attempt whose result waits is renewed, so that it is not found lost; its agent is not told of it", async () => {
  const renewals: (readonly string[])[] = [];
  const desk = await attached({
    finishAttempt: (_result, _decide, patience) => {
      patience?.onLocked();
      return new Promise(() => undefined);
    },
    renewLeases: (attempts) => {
      renewals.push(attempts.map(({ attemptId }) => attemptId));
      return Promise.resolve({ renewed: attempts.map((_, index) => knownOf(index, "running")), inUse: [] });
    },
  });
  await desk.finish(1);
  // As its agent says it: of what has finished there is nothing in it.
  await desk.renew(1);
  await nextTurn();
  expect(renewals).toEqual([[0, 1].map((n) => attemptOf(n).attemptId)]);
  expect(desk.sent.at(-1)).toMatchObject({ $case: "renewed", value: { attemptIds: [attemptOf(0).attemptId] } });
});

it("the stream is read on however many pieces of output wait for the one that is being written", async () => {
  const written: number[] = [];
  const first = createDeferred<number>();
  const desk = await attached({
    appendOutput: (_attempt, _agentId, chunks) => {
      written.push(chunks.length);
      return written.length === 1 ? first.promise : Promise.resolve(chunks.at(-1)?.seq ?? 0);
    },
  });
  // The moment before it is found to be locked, and more of them than may be in work.
  for (let seq = 1; seq <= 2_000; seq += 1) await desk.print(0, seq, 100);
  await desk.renew(1);
  await nextTurn();
  expect(desk.heard("renewed")).toBe(1);
  first.resolve(1);
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  expect(written.reduce((sum, pieces) => sum + pieces, 0)).toBe(2_000);
  expect(written.length).toBeLessThan(10);
  expect(desk.sent.at(-1)).toMatchObject({ $case: "outputAck", value: { seq: 2_000 } });
});

it("I9: output that waits for locks is bounded: what is more comes again with the next stream, with no gap", async () => {
  const seqs = new Map<string, number[]>();
  const free = createDeferred<number>();
  const desk = await attached({
    appendOutput: async ({ attemptId }, _agentId, chunks, _maxBytes, patience) => {
      patience?.onLocked();
      await free.promise;
      seqs.set(attemptId, [...(seqs.get(attemptId) ?? []), ...chunks.map(({ seq }) => seq)]);
      return chunks.at(-1)?.seq ?? 0;
    },
  });
  // 150 MiB of three attempts.
  for (let seq = 1; seq <= 800; seq += 1) for (let n = 0; n < 3; n += 1) await desk.print(n, seq, 65_536);
  expect(desk.heard("reconnect")).toBe(0);
  free.resolve(0);
  for (let turn = 0; turn < 600; turn += 1) await nextTurn();
  expect(desk.heard("reconnect")).toBe(1);
  // What follows would leave a gap, though there is room for it by now.
  for (let n = 0; n < 3; n += 1) await desk.print(n, 801, 10);
  await nextTurn();
  for (const written of seqs.values()) {
    expect(written.length * 65_536).toBeLessThan(24 * 1_024 * 1_024);
    expect(written).toEqual(written.map((_, index) => index + 1));
  }
  expect(desk.failures).toEqual([]);
});

it("however much output of other attempts is being written, of one that was locked for a moment nothing is left out", async () => {
  const written = createDeferred();
  const seqs: number[] = [];
  const desk = await attached({
    appendOutput: async ({ attemptId }, _agentId, chunks, _maxBytes, patience) => {
      if (attemptId === attemptOf(1).attemptId) patience?.onLocked();
      await written.promise;
      if (attemptId === attemptOf(1).attemptId) seqs.push(...chunks.map(({ seq }) => seq));
      return chunks.at(-1)?.seq ?? 0;
    },
  });
  for (let seq = 1; seq <= 2_000; seq += 1) await desk.print(0, seq, 65_536);
  for (let seq = 1; seq <= 3; seq += 1) await desk.print(1, seq, 10);
  written.resolve();
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  expect([seqs, desk.heard("reconnect")]).toEqual([[1, 2, 3], 0]);
});

it("what somebody had locked at the hello is sent again when it is free, once, and its agent's answer ends the wait for it", async () => {
  let looks = 0;
  const asked: (readonly string[])[] = [];
  const desk = await attached({
    openAttempts: () => Promise.resolve([1, 2].map((n) => knownOf(n, "assigned"))),
    acceptAttempt: (_attempt, _agentId, patience) => {
      patience?.onLocked();
      return new Promise(() => undefined);
    },
    takeToSendAgain: (attemptIds) => {
      looks += 1;
      asked.push(attemptIds);
      if (looks < 3) return Promise.resolve({ assignments: [], inUse: attemptIds });
      return Promise.resolve({ assignments: attemptIds.map((attemptId) => assignmentOf(attemptId)), inUse: [] });
    },
  });
  expect([looks, desk.heard("assignment")]).toEqual([1, 0]);
  await desk.ports.advance(1_000);
  await nextTurn();
  await desk.accept(2);
  for (let second = 0; second < 5; second += 1) {
    await desk.ports.advance(1_000);
    await nextTurn();
  }
  expect(desk.heard("assignment")).toBe(1);
  const [one, two] = [attemptOf(1).attemptId, attemptOf(2).attemptId];
  expect(asked.slice(0, 3)).toEqual([[one, two], [one, two], [one]]);
  expect(asked.slice(3).flat()).toEqual([]);
  desk.close();
  await desk.ports.advance(1_000);
});
