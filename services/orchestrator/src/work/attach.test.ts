/** A work stream whose messages a store cannot write: what becomes of them, and of the stream. */
import { wire } from "@headroom/contracts";
import type { CallContext, HeadroomError } from "@headroom/rpc";
import { nextTurn } from "@headroom/runtime";
import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { mapStoreError } from "../rpc/map-store-error.ts";
import type { AttemptKnown } from "../store/model.ts";
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
    onMessage: (handler: typeof take) => (take = handler),
    onClose: (handler: typeof close) => (close = handler),
    onPeerEnd: () => undefined,
  } as unknown as WorkStream;
  const store = {
    findAttempts: () => Promise.resolve([]),
    openAttempts: () => Promise.resolve([]),
    takeToSendAgain: () => Promise.resolve([]),
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
  const heard = (kind: string): number => sent.filter(({ $case }) => $case === kind).length;
  return { ports, logger, failures, say, renew, accept, heard, close: () => close(null) };
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
      if (tries < 4) return Promise.reject(databaseError(tries === 1 ? "55P03" : "40P01"));
      return Promise.resolve({ ...knownOf(1, "running"), ...attempt });
    },
  });
  await desk.accept(1);
  for (let n = 0; n < 3; n += 1) {
    await nextTurn();
    await desk.ports.advance(10_000);
  }
  await nextTurn();
  expect([tries, desk.failures]).toEqual([4, []]);
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

it("a result that is said again while it waits to be written waits once", async () => {
  let tries = 0;
  const desk = await attached({
    finishAttempt: () => {
      tries += 1;
      return new Promise(() => undefined);
    },
  });
  const outcome = wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED;
  for (let n = 0; n < 3; n += 1)
    await desk.say({ $case: "finished", value: wire.AttemptFinished.fromPartial({ ...attemptOf(1), outcome }) });
  expect(tries).toBe(1);
});
