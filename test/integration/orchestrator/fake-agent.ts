import { wire } from "@headroom/contracts";
import { createChannel, createClient, type HeadroomError } from "@headroom/rpc";
import { type HostPort, silentLogger, systemPorts } from "@headroom/runtime";

/** An assignment as the agent got it. */
export type Given = wire.Assignment;

type Report = NonNullable<wire.AttemptReport["report"]>;

/** A scripted agent on a real work stream. By default it accepts, and runs until the test ends the run. */
export interface FakeAgent {
  readonly agentId: string;
  /** Every assignment that arrived, repetitions included. */
  readonly given: readonly Given[];
  /** What it runs: accepted and not finished. */
  readonly running: ReadonlyMap<string, Given>;
  readonly cancelled: ReadonlySet<string>;
  /** Assignments and cancellations of the stream that is open, in the order in which they came: `assignment ID`, `cancel ID`. */
  readonly heard: () => readonly string[];
  readonly acks: ReadonlyMap<string, { readonly refused: boolean }>;
  readonly unwanted: ReadonlySet<string>;
  readonly closes: readonly (HeadroomError | null)[];
  readonly reconnects: () => number;
  welcomed(): boolean;
  renewed(): readonly string[];
  /** Connects (again), with what it runs in its hello. */
  connect(address: HostPort): void;
  disconnect(): void;
  /** Answers, late, an assignment that it has not answered. */
  accept(attemptId: string): void;
  /** Ends a run; without a stream only when it connects again and is asked. */
  finish(attemptId: string, result?: Partial<wire.AttemptFinished>): void;
  output(attemptId: string, seq: number, text: string): void;
  renew(): void;
  close(): void;
}

export interface FakeAgentOptions {
  readonly token: string;
  /** Null: it does not answer. */
  readonly answer?: (given: Given) => { readonly accepted: boolean; readonly reason?: string } | null;
  /** Ends each run at once, with code 0. */
  readonly instant?: boolean;
}

export function createFakeAgent(options: FakeAgentOptions): FakeAgent {
  const agentId = systemPorts.random.uuid();
  const incarnation = systemPorts.random.uuid();
  const given: Given[] = [];
  const running = new Map<string, Given>();
  const cancelled = new Set<string>();
  const acks = new Map<string, { refused: boolean }>();
  const unwanted = new Set<string>();
  const closes: (HeadroomError | null)[] = [];
  let heard: string[] = [];
  let renewed: readonly string[] = [];
  let reconnects = 0;
  let isWelcome = false;
  let stop: (() => void) | null = null;
  let current: unknown = null;
  let send: (message: wire.AttachRequest["message"]) => void = () => undefined;

  function finishedMessage(assignment: Given, result: Partial<wire.AttemptFinished>): Report {
    const value = wire.AttemptFinished.fromPartial({
      attemptId: assignment.attemptId,
      fence: assignment.fence,
      outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED,
      exitCode: 0,
      finishedAt: { seconds: Math.floor(Date.now() / 1_000), nanos: 0 },
      ...result,
    });
    return { $case: "finished", value };
  }

  function take(assignment: Given): void {
    given.push(assignment);
    const { attemptId, fence } = assignment;
    const answer = options.answer === undefined ? { accepted: true } : options.answer(assignment);
    if (answer === null) return;
    if (answer.accepted) running.set(attemptId, assignment);
    const answered: Report = {
      $case: "answer",
      value: wire.AssignmentAnswer.fromPartial({ attemptId, fence, ...answer }),
    };
    if (!answer.accepted) return send(answered);
    const started: Report = {
      $case: "started",
      value: wire.AttemptStarted.fromPartial({ attemptId, fence, pid: 1 }),
    };
    if (options.instant !== true) {
      send(answered);
      return send(started);
    }
    running.delete(attemptId);
    // All in one moment, as an agent of today says it.
    const reports = [answered, started, finishedMessage(assignment, {})].map((report) => ({ report }));
    send({ $case: "reports", value: { reports } });
  }

  function receive({ message }: wire.AttachResponse): void {
    switch (message?.$case) {
      case "welcome":
        isWelcome = true;
        for (const id of message.value.unwantedAttemptIds) unwanted.add(id);
        break;
      case "assignment":
        heard.push(`assignment ${message.value.attemptId}`);
        take(message.value);
        break;
      case "cancel":
        heard.push(`cancel ${message.value.attemptId}`);
        cancelled.add(message.value.attemptId);
        break;
      case "renewed":
        renewed = message.value.attemptIds;
        for (const id of message.value.unwantedAttemptIds) unwanted.add(id);
        break;
      case "finishedAck":
        acks.set(message.value.attemptId, { refused: message.value.refused });
        break;
      case "reconnect":
        reconnects += 1;
        break;
      case "items":
        for (const { item } of message.value.items) receive({ message: item });
        break;
      case "outputAck":
      case undefined:
        break;
    }
  }

  return {
    agentId,
    given,
    running,
    cancelled,
    heard: () => heard,
    acks,
    unwanted,
    closes,
    reconnects: () => reconnects,
    welcomed: () => isWelcome,
    renewed: () => renewed,
    connect(address) {
      isWelcome = false;
      heard = [];
      const channel = createChannel({ address, ports: systemPorts, logger: silentLogger, token: options.token });
      const stream = createClient(wire.WorkServiceService, channel).attach();
      stream.onMessage(receive);
      current = stream;
      stream.onClose((error) => {
        closes.push(error);
        if (current === stream) isWelcome = false;
        channel.close();
      });
      send = (message) => void stream.send(wire.AttachRequest.fromPartial({ message }));
      stop = () => {
        stream.end();
        channel.close();
      };
      const attempts = [...running.values()].map(({ attemptId, fence }) => ({ attemptId, fence, finished: false }));
      send({
        $case: "hello",
        value: wire.AttachHello.fromPartial({ agentId, incarnation, attempts, takesItems: true }),
      });
    },
    disconnect() {
      stop?.();
      stop = null;
      send = () => undefined;
    },
    accept(attemptId) {
      const assignment = given.find((one) => one.attemptId === attemptId);
      if (assignment === undefined) throw new Error(`the agent was never given ${attemptId}`);
      running.set(attemptId, assignment);
      const { fence } = assignment;
      send({ $case: "answer", value: wire.AssignmentAnswer.fromPartial({ attemptId, fence, accepted: true }) });
      send({ $case: "started", value: wire.AttemptStarted.fromPartial({ attemptId, fence, pid: 1 }) });
    },
    finish(attemptId, result = {}) {
      const assignment = running.get(attemptId) ?? given.find((one) => one.attemptId === attemptId);
      if (assignment === undefined) throw new Error(`the agent was never given ${attemptId}`);
      running.delete(attemptId);
      send(finishedMessage(assignment, result));
    },
    output(attemptId, seq, text) {
      const fence = given.find((one) => one.attemptId === attemptId)?.fence ?? 1;
      const stream = wire.OutputStream.OUTPUT_STREAM_STDOUT;
      send({
        $case: "output",
        value: wire.AttemptOutput.fromPartial({ attemptId, fence, seq, stream, data: Buffer.from(text) }),
      });
    },
    renew() {
      const attempts = [...running.values()].map(({ attemptId, fence }) => ({ attemptId, fence }));
      send({ $case: "renew", value: wire.RenewLeases.fromPartial({ attempts }) });
    },
    close() {
      stop?.();
    },
  };
}
