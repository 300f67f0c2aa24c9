import type { sendUnaryData, Server, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, type ServiceDefinition } from "@grpc/proto-loader";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { descriptorRegistry } from "@headroom/contracts";
import type { Ports } from "@headroom/runtime";
import { HeadroomError, notFound } from "../errors.ts";
import type { NoteCall } from "./grpc-call-meta.ts";
import type { HealthState } from "./health-state.ts";
import { refusal, tolerant, type Tolerated } from "./tolerant-service.ts";

export const healthServiceName = "grpc.health.v1.Health";

type ServingStatus = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

interface CheckRequest {
  readonly service: string;
}

interface CheckResponse {
  readonly status: ServingStatus;
}

/** A map, as proto-loader writes one that it knows from a descriptor: the entries that it is on the wire. */
interface ListResponse {
  readonly statuses: readonly { readonly key: string; readonly value: CheckResponse }[];
}

type Request = Tolerated<CheckRequest>;

/** Adds grpc.health.v1 (Check, Watch, List). It is open to whoever reaches the port, and stays outside the pipeline: probes are no traffic. */
export function addHealth(server: Server, health: HealthState, ports: Ports, note: NoteCall): void {
  const answer = <Response>(
    call: ServerUnaryCall<Request, Response>,
    callback: sendUnaryData<Response>,
    read: (request: CheckRequest) => Response | HeadroomError,
  ): void => {
    note(call);
    const { request } = call;
    const answered = request instanceof HeadroomError ? request : read(request);
    if (answered instanceof HeadroomError) callback(refusal(call, answered, ports));
    else callback(null, answered);
  };
  server.addService(tolerant(healthService()), {
    Check: (call: ServerUnaryCall<Request, CheckResponse>, callback: sendUnaryData<CheckResponse>) =>
      answer(call, callback, ({ service }) => check(health, service)),
    Watch: (stream: ServerWritableStream<Request, CheckResponse>) => {
      note(stream);
      const { request } = stream;
      if (request instanceof HeadroomError) stream.emit("error", refusal(stream, request, ports));
      else watch(stream, request.service, health);
    },
    List: (call: ServerUnaryCall<Request, ListResponse>, callback: sendUnaryData<ListResponse>) =>
      answer(call, callback, () => ({
        statuses: [...health.list().keys()].map((service) => ({
          key: service,
          value: { status: statusOf(health, service) },
        })),
      })),
  });
}

function check(health: HealthState, service: string): CheckResponse | HeadroomError {
  const current = statusOf(health, service);
  if (current !== "SERVICE_UNKNOWN") return { status: current };
  const known = [...health.list().keys()].filter(Boolean).join(", ");
  return notFound("NO_SUCH_SERVICE", `no service "${service}" here; known: ${known}`);
}

/** The state now, then each change; a slow reader gets the newest. Ends when the server goes down. */
function watch(stream: ServerWritableStream<Request, CheckResponse>, service: string, health: HealthState): void {
  let told: ServingStatus | undefined;
  let isWriting = false;
  const tell = (): void => {
    // What changed meanwhile is told when the write is done.
    if (isWriting || stream.writableEnded || stream.destroyed) return;
    const current = statusOf(health, service);
    if (current !== told) {
      told = current;
      isWriting = true;
      stream.write({ status: current }, () => {
        isWriting = false;
        tell();
      });
    }
    if (!health.isUp) stream.end();
  };
  const unsubscribe = health.onChange(tell);
  stream.on("cancelled", unsubscribe);
  stream.on("close", unsubscribe);
  tell();
}

function statusOf(health: HealthState, service: string): ServingStatus {
  const serving = health.get(service);
  if (serving === undefined) return "SERVICE_UNKNOWN";
  return serving ? "SERVING" : "NOT_SERVING";
}

/** The service definition, by proto-loader from the descriptor set. */
function healthService(): ServiceDefinition {
  const file = descriptorRegistry().getService(healthServiceName)?.file;
  if (file === undefined) throw new TypeError(`the descriptor set has no ${healthServiceName}`);
  const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [file.proto] }));
  // proto-loader answers services and types in one record; this name is a service.
  return loadFileDescriptorSetFromBuffer(Buffer.from(set), { keepCase: true, enums: String, defaults: true })[
    healthServiceName
  ] as ServiceDefinition;
}
