import { fromJSON, type ServiceDefinition } from "@grpc/proto-loader";

type Namespace = Parameters<typeof fromJSON>[0];

// grpc.reflection.v1 and v1alpha (grpc/grpc-proto): the same messages under two package names. Stated here, because a bundled
// program has no .proto file beside it to load.
const messages: NonNullable<Namespace["nested"]> = {
  ServerReflectionRequest: {
    oneofs: {
      message_request: {
        oneof: [
          "file_by_filename",
          "file_containing_symbol",
          "file_containing_extension",
          "all_extension_numbers_of_type",
          "list_services",
        ],
      },
    },
    fields: {
      host: { type: "string", id: 1 },
      file_by_filename: { type: "string", id: 3 },
      file_containing_symbol: { type: "string", id: 4 },
      file_containing_extension: { type: "ExtensionRequest", id: 5 },
      all_extension_numbers_of_type: { type: "string", id: 6 },
      list_services: { type: "string", id: 7 },
    },
  },
  ExtensionRequest: {
    fields: { containing_type: { type: "string", id: 1 }, extension_number: { type: "int32", id: 2 } },
  },
  ServerReflectionResponse: {
    oneofs: {
      message_response: {
        oneof: [
          "file_descriptor_response",
          "all_extension_numbers_response",
          "list_services_response",
          "error_response",
        ],
      },
    },
    fields: {
      valid_host: { type: "string", id: 1 },
      original_request: { type: "ServerReflectionRequest", id: 2 },
      file_descriptor_response: { type: "FileDescriptorResponse", id: 4 },
      all_extension_numbers_response: { type: "ExtensionNumberResponse", id: 5 },
      list_services_response: { type: "ListServiceResponse", id: 6 },
      error_response: { type: "ErrorResponse", id: 7 },
    },
  },
  FileDescriptorResponse: { fields: { file_descriptor_proto: { rule: "repeated", type: "bytes", id: 1 } } },
  ExtensionNumberResponse: {
    fields: { base_type_name: { type: "string", id: 1 }, extension_number: { rule: "repeated", type: "int32", id: 2 } },
  },
  ListServiceResponse: { fields: { service: { rule: "repeated", type: "ServiceResponse", id: 1 } } },
  ServiceResponse: { fields: { name: { type: "string", id: 1 } } },
  ErrorResponse: { fields: { error_code: { type: "int32", id: 1 }, error_message: { type: "string", id: 2 } } },
  ServerReflection: {
    methods: {
      ServerReflectionInfo: {
        requestType: "ServerReflectionRequest",
        requestStream: true,
        responseType: "ServerReflectionResponse",
        responseStream: true,
        comment: "",
      },
    },
  },
};

export type ReflectionVersion = "v1" | "v1alpha";

/** What a client asks; exactly one of the fields after `host` is there. */
export interface ReflectionRequest {
  readonly host?: string;
  readonly file_by_filename?: string;
  readonly file_containing_symbol?: string;
  readonly file_containing_extension?: { readonly containing_type?: string; readonly extension_number?: number };
  readonly all_extension_numbers_of_type?: string;
  readonly list_services?: string;
}

export interface ReflectionResponse {
  readonly valid_host?: string;
  readonly original_request: ReflectionRequest;
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Buffer[] };
  readonly all_extension_numbers_response?: {
    readonly base_type_name: string;
    readonly extension_number: readonly number[];
  };
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] };
  readonly error_response?: { readonly error_code: number; readonly error_message: string };
}

/** The service definition of one version, by proto-loader. */
export function reflectionService(version: ReflectionVersion): ServiceDefinition {
  const packages = { nested: { grpc: { nested: { reflection: { nested: { [version]: { nested: messages } } } } } } };
  // proto-loader answers services and types in one record; this name is a service.
  return fromJSON(packages, { keepCase: true })[`grpc.reflection.${version}.ServerReflection`] as ServiceDefinition;
}
