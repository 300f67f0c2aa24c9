import {
  status,
  type sendUnaryData,
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, type ServiceDefinition } from "@grpc/proto-loader";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { descriptorRegistry } from "@headroom/contracts";
import type { HealthState } from "./health-state.ts";

export const healthServiceName = "grpc.health.v1.Health";

type ServingStatus = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

interface CheckRequest {
  readonly service: string;
}

interface CheckResponse {
  readonly status: ServingStatus;
}

interface ListResponse {
  readonly statuses: Readonly<Record<string, CheckResponse>>;
}

/** Adds grpc.health.v1 (Check, Watch, List). It is open to whoever reaches the port, and stays outside the pipeline: probes are no traffic. */
export function addHealth(server: Server, health: HealthState): void {
  server.addService(healthService(), {
    Check: (call: ServerUnaryCall<CheckRequest, CheckResponse>, callback: sendUnaryData<CheckResponse>) => {
      const current = statusOf(health, call.request.service);
      if (current !== "SERVICE_UNKNOWN") callback(null, { status: current });
      else
        callback({
          code: status.NOT_FOUND,
          details: `no service "${call.request.service}" here; known: ${[...health.list().keys()].filter(Boolean).join(", ")}`,
        });
    },
    Watch: (stream: ServerWritableStream<CheckRequest, CheckResponse>) => watch(stream, health),
    List: (_call: unknown, callback: sendUnaryData<ListResponse>) => {
      callback(null, {
        statuses: Object.fromEntries(
          [...health.list().keys()].map((service) => [service, { status: statusOf(health, service) }]),
        ),
      });
    },
  });
}

/** The state now, then each change; a slow reader gets the newest. Ends when the server goes down. */
function watch(stream: ServerWritableStream<CheckRequest, CheckResponse>, health: HealthState): void {
  let told: ServingStatus | undefined;
  const tell = (): void => {
    const current = statusOf(health, stream.request.service);
    if (current !== told && stream.writableLength === 0) {
      told = current;
      stream.write({ status: current });
    }
    if (!health.isUp) stream.end();
  };
  const unsubscribe = health.onChange(tell);
  stream.on("drain", tell);
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
