/** The bare server: grpc-js alone, that decodes and acknowledges the same messages, and answers a unary call with a given answer. */
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { wire } from "@headroom/contracts";
import { serveCommands } from "../support/child-side.ts";
import { statsCommands } from "../support/server-stats.ts";

type Stream = ServerDuplexStream<wire.HeartbeatRequest, wire.HeartbeatResponse>;

const INTERVAL = { seconds: 5, nanos: 0 };

const heartbeat: handleBidiStreamingCall<wire.HeartbeatRequest, wire.HeartbeatResponse> = (stream: Stream) => {
  stream.on("data", ({ message }: wire.HeartbeatRequest) => {
    if (message?.$case === "hello") {
      const welcome = { epoch: 1, interval: INTERVAL, ttl: { seconds: 15, nanos: 0 }, registryInstance: "" };
      stream.write({ message: { $case: "welcome", value: welcome } });
    } else if (message?.$case === "beat") {
      const ack = { seq: message.value.seq, nextInterval: INTERVAL, wantFull: false, evictAttemptIds: [] };
      stream.write({ message: { $case: "ack", value: ack } });
    }
  });
  stream.on("end", () => stream.end());
  stream.on("error", () => undefined);
};

let answers: readonly wire.ListAvailableCapacityResponse[] = [];
let next = 0;
const listAvailableCapacity: handleUnaryCall<wire.ListAvailableCapacityRequest, wire.ListAvailableCapacityResponse> = (
  _call,
  callback,
) => {
  next = (next + 1) % Math.max(1, answers.length);
  // The object is encoded at each call.
  callback(null, answers[next] ?? wire.ListAvailableCapacityResponse.fromPartial({}));
};

let promise: wire.ReserveResult = { attemptId: "", outcome: undefined };
/** Everybody gets the same promise, of a reservation that the registry has really made. */
const reserveCapacity: handleUnaryCall<wire.ReserveCapacityRequest, wire.ReserveCapacityResponse> = (
  { request },
  callback,
) => {
  const results = request.reservations.map(({ attemptId }) => ({ ...promise, attemptId }));
  callback(null, { results, revision: undefined });
};

const unasked: handleUnaryCall<unknown, unknown> = (_call, callback) => callback({ code: 12 });

function only(definition: object, methods: UntypedServiceImplementation): UntypedServiceImplementation {
  return { ...Object.fromEntries(Object.keys(definition).map((name) => [name, unasked])), ...methods };
}

const server = new Server({ "grpc.enable_channelz": 0, "grpc.max_concurrent_streams": 100_000 });
server.addService(wire.AgentServiceService, only(wire.AgentServiceService, { heartbeat }));
server.addService(
  wire.CapacityServiceService,
  only(wire.CapacityServiceService, { listAvailableCapacity, reserveCapacity }),
);

serveCommands({
  ...statsCommands,
  listen: () =>
    new Promise<string>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(`127.0.0.1:${port}`);
        else reject(error);
      });
    }),
  answerWith(encoded: readonly Uint8Array[]) {
    answers = encoded.map((bytes) => wire.ListAvailableCapacityResponse.decode(bytes));
  },
  promise(encoded: Uint8Array) {
    promise = wire.ReserveResult.decode(encoded);
  },
  exit: () => process.exit(0),
});
