import { durationFromMs, wire } from "@headroom/contracts";
import {
  bindService,
  createRpcServer,
  createTokenAuth,
  unimplemented,
  type DuplexStream,
  type RpcServer,
} from "@headroom/rpc";
import { formatHostPort, silentLogger, systemPorts, systemRandom } from "@headroom/runtime";

type HeartbeatStream = DuplexStream<wire.HeartbeatRequest, wire.HeartbeatResponse>;
type WorkStream = DuplexStream<wire.AttachRequest, wire.AttachResponse>;
type FromAgent = NonNullable<wire.HeartbeatRequest["message"]>;
type FromWork = NonNullable<wire.AttachRequest["message"]>;
type HeartbeatValue<K extends FromAgent["$case"]> = Extract<FromAgent, { $case: K }>["value"];
type WorkValue<K extends FromWork["$case"]> = Extract<FromWork, { $case: K }>["value"];

export const token = "a-token-for-the-tests-of-the-agent";

/** A registry and an orchestrator that only note what an agent says, on a real port. */
export interface FakeServices {
  readonly heartbeats: FromAgent[];
  readonly works: FromWork[];
  /** Acknowledge results and output. Default true. */
  acks: boolean;
  /** Answer renewals. Default true. */
  renews: boolean;
  /** Ask for a full sample with each ack. Default false. */
  wantsFull: boolean;
  address(): string;
  /** Says something on the work stream. */
  say(message: NonNullable<wire.AttachResponse["message"]>): void;
  sayHeartbeat(message: NonNullable<wire.HeartbeatResponse["message"]>): void;
  beats<K extends FromAgent["$case"]>(kind: K): HeartbeatValue<K>[];
  work<K extends FromWork["$case"]>(kind: K): WorkValue<K>[];
  /** The output of an attempt, whole. */
  output(attemptId: string, stream: wire.OutputStream): Buffer;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export function fakeServices(): FakeServices {
  let server: RpcServer | undefined;
  let port = 0;
  let workStream: WorkStream | undefined;
  let heartbeatStream: HeartbeatStream | undefined;
  const fake: FakeServices = {
    heartbeats: [],
    works: [],
    acks: true,
    renews: true,
    wantsFull: false,
    address: () => formatHostPort({ host: "127.0.0.1", port }),
    say: (message) => void workStream?.send({ message }),
    sayHeartbeat: (message) => void heartbeatStream?.send({ message }),
    // The kinds are told apart by `$case`, which the compiler cannot follow through a generic.
    beats: (kind) => fake.heartbeats.flatMap((message) => (message.$case === kind ? [message.value as never] : [])),
    work: (kind) => fake.works.flatMap((message) => (message.$case === kind ? [message.value as never] : [])),
    output(attemptId, stream) {
      const pieces = new Map(
        fake
          .work("output")
          .filter((piece) => piece.attemptId === attemptId)
          .map((piece) => [piece.seq, piece]),
      );
      return Buffer.concat([...pieces.values()].filter((piece) => piece.stream === stream).map((piece) => piece.data));
    },
    async start() {
      server = createRpcServer({
        name: "fake",
        ports: systemPorts,
        logger: silentLogger,
        listen: { grpc: { host: "127.0.0.1", port } },
        auth: createTokenAuth({ token }),
        drainMs: 100,
        services: [
          bindService(wire.AgentServiceService, {
            enrollAgent: () => Promise.reject(unimplemented("EnrollAgent")),
            heartbeat: (stream) => serveHeartbeat(stream),
          }),
          bindService(wire.WorkServiceService, { attach: (stream) => serveWork(stream) }),
        ],
      });
      await server.start();
      port = server.address?.port ?? 0;
    },
    async stop() {
      await server?.stop();
    },
  };

  function serveHeartbeat(stream: HeartbeatStream): void {
    heartbeatStream = stream;
    stream.onMessage(({ message }) => {
      if (message === undefined) return;
      fake.heartbeats.push(message);
      if (message.$case === "hello") {
        const value = {
          epoch: 1,
          interval: durationFromMs(500),
          ttl: durationFromMs(20_000),
          registryInstance: systemRandom.uuid(),
        };
        stream.send({ message: { $case: "welcome", value } });
      }
      if (message.$case === "beat") {
        const value = {
          seq: message.value.seq,
          nextInterval: durationFromMs(500),
          wantFull: fake.wantsFull,
          evictAttemptIds: [],
        };
        stream.send({ message: { $case: "ack", value } });
      }
    });
    stream.onPeerEnd(() => stream.end());
    stream.onClose(() => undefined);
    stream.onDrain(() => undefined);
  }

  function serveWork(stream: WorkStream): void {
    workStream = stream;
    stream.onMessage(({ message }) => {
      if (message === undefined) return;
      fake.works.push(message);
      const answer = message.$case === "renew" && !fake.renews ? null : answerTo(message, fake.acks);
      if (answer !== null) stream.send({ message: answer });
    });
    stream.onPeerEnd(() => stream.end());
    stream.onClose(() => undefined);
    stream.onDrain(() => undefined);
  }

  return fake;
}

function answerTo(message: FromWork, acks: boolean): NonNullable<wire.AttachResponse["message"]> | null {
  switch (message.$case) {
    case "hello":
      return {
        $case: "welcome",
        value: {
          orchestratorInstance: systemRandom.uuid(),
          renewInterval: durationFromMs(1_000),
          unwantedAttemptIds: [],
          takesReports: false,
        },
      };
    case "renew": {
      const attemptIds = message.value.attempts.map((attempt) => attempt.attemptId);
      return { $case: "renewed", value: { attemptIds, unwantedAttemptIds: [] } };
    }
    case "finished":
      return acks ? { $case: "finishedAck", value: { attemptId: message.value.attemptId, refused: false } } : null;
    case "output":
      return acks
        ? { $case: "outputAck", value: { attemptId: message.value.attemptId, seq: message.value.seq } }
        : null;
    case "answer":
    case "started":
    case "reports":
      return null;
  }
}

/** An assignment of a command, with a lease long enough for a slow machine. */
export function assignmentOf(
  attemptId: string,
  argv: readonly string[],
  more: Partial<wire.Assignment> = {},
): wire.Assignment {
  const assignment = wire.Assignment.fromPartial({
    attemptId,
    fence: 1,
    taskId: systemRandom.uuid(),
    planId: systemRandom.uuid(),
    taskName: "a-task",
    command: { argv: [...argv] },
    amounts: { cpuCores: 0.5, memoryGb: 0.1 },
    workLease: durationFromMs(300_000),
    acceptWithin: durationFromMs(20_000),
  });
  return { ...assignment, ...more };
}
