/** What the .proto files say of themselves, read from the compiler's own descriptor set: one set drives reflection, REST, access, validation and OpenAPI. */
import { createFileRegistry, fromBinary, getOption, type DescMethod, type FileRegistry } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { FileDescriptorSetSchema, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { DESCRIPTOR_SET_BASE64 } from "./gen/descriptor-set.ts";
import { httpRulesOf, type HttpRule } from "./http-rule.ts";

/** The least a caller must be. `open`: anyone who reaches the port. */
export type MethodAccess = "open" | "agent" | "planner" | "operator";
export type MethodIdempotency = "unknown" | "no_side_effects" | "idempotent";
export type MethodStreaming = "unary" | "server_stream" | "duplex";

/** What the contract says of one method. */
export interface MethodContract {
  /** `headroom.registry.v1.CapacityService/GetAgentCapacity` */
  readonly fullName: string;
  /** `headroom.registry.v1.CapacityService` */
  readonly service: string;
  /** `GetAgentCapacity` */
  readonly name: string;
  readonly streaming: MethodStreaming;
  readonly access: MethodAccess;
  readonly idempotency: MethodIdempotency;
  /** Empty where the method has no REST face. */
  readonly http: readonly HttpRule[];
  /** Full names of the messages. */
  readonly requestType: string;
  readonly responseType: string;
}

let registry: FileRegistry | undefined;
let methods: ReadonlyMap<string, MethodContract> | undefined;

/** The bytes of the google.protobuf.FileDescriptorSet, as the compiler wrote them. */
export function descriptorSetBytes(): Uint8Array {
  return base64Decode(DESCRIPTOR_SET_BASE64);
}

/** All our .proto files and their imports. Built once, at first use (some 10 ms). */
export function descriptorRegistry(): FileRegistry {
  registry ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSetBytes()));
  return registry;
}

/** What the contract says of a method, by `package.Service/Method`; undefined: no such method. */
export function methodOptions(fullName: string): MethodContract | undefined {
  return methodContracts().get(fullName);
}

/** Every method of every service in the descriptor set, by full name. */
export function methodContracts(): ReadonlyMap<string, MethodContract> {
  methods ??= readMethods(descriptorRegistry());
  return methods;
}

function readMethods(files: FileRegistry): ReadonlyMap<string, MethodContract> {
  const found = new Map<string, MethodContract>();
  for (const type of files) {
    if (type.kind !== "service") continue;
    for (const method of type.methods) {
      const contract = readMethod(files, method);
      found.set(contract.fullName, contract);
    }
  }
  return found;
}

function readMethod(files: FileRegistry, method: DescMethod): MethodContract {
  return {
    fullName: `${method.parent.typeName}/${method.name}`,
    service: method.parent.typeName,
    name: method.name,
    streaming: streamingOf(method),
    access: accessOf(files, method),
    idempotency: idempotencyOf(method),
    http: httpRulesOf(files, method),
    requestType: method.input.typeName,
    responseType: method.output.typeName,
  };
}

function streamingOf(method: DescMethod): MethodStreaming {
  switch (method.methodKind) {
    case "unary":
      return "unary";
    case "server_streaming":
      return "server_stream";
    case "client_streaming":
    case "bidi_streaming":
      return "duplex";
  }
}

// Numbers of headroom.common.v1.Access. What is not stated, or not known here, locks the method instead of opening it.
const ACCESS_BY_NUMBER: ReadonlyMap<unknown, MethodAccess> = new Map<unknown, MethodAccess>([
  [1, "open"],
  [2, "agent"],
  [3, "planner"],
  [4, "operator"],
]);

// Services that are not ours and are meant for whoever reaches the port.
const OPEN_SERVICES: ReadonlySet<string> = new Set(["grpc.health.v1.Health"]);

function accessOf(files: FileRegistry, method: DescMethod): MethodAccess {
  if (OPEN_SERVICES.has(method.parent.typeName)) return "open";
  const option = files.getExtension("headroom.common.v1.access");
  if (option === undefined) return "operator";
  return ACCESS_BY_NUMBER.get(getOption(method, option)) ?? "operator";
}

function idempotencyOf(method: DescMethod): MethodIdempotency {
  switch (method.idempotency) {
    case MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN:
      return "unknown";
    case MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS:
      return "no_side_effects";
    case MethodOptions_IdempotencyLevel.IDEMPOTENT:
      return "idempotent";
  }
}
