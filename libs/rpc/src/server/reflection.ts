import { status, type Server, type ServerDuplexStream } from "@grpc/grpc-js";
import { descriptorFiles, type DescriptorFiles } from "./descriptor-files.ts";
import type { Ports } from "@headroom/runtime";
import { HeadroomError } from "../errors.ts";
import type { NoteCall } from "./grpc-call-meta.ts";
import { reflectionService, type ReflectionRequest, type ReflectionResponse } from "./reflection-schema.ts";
import { refusal, tolerant, type Tolerated } from "./tolerant-service.ts";

type Answer = Omit<ReflectionResponse, "original_request" | "valid_host">;
type Stream = ServerDuplexStream<Tolerated<ReflectionRequest>, ReflectionResponse>;

/** Adds server reflection, v1 and v1alpha, that lists these services. It tells only what the public .proto files say. */
export function addReflection(server: Server, services: readonly string[], ports: Ports, note: NoteCall): void {
  const files = descriptorFiles();
  const serve = (stream: Stream): void => {
    note(stream);
    stream.on("end", () => void stream.end());
    stream.on("drain", () => void stream.resume());
    stream.on("data", (request: Tolerated<ReflectionRequest>) => {
      if (request instanceof HeadroomError) {
        stream.emit("error", refusal(stream, request, ports));
        return;
      }
      const written = stream.write({
        valid_host: request.host ?? "",
        original_request: request,
        ...answer(request, services, files),
      });
      // One who asks without reading waits, and costs no memory.
      if (!written) stream.pause();
    });
  };
  for (const version of ["v1", "v1alpha"] as const)
    server.addService(tolerant(reflectionService(version)), { ServerReflectionInfo: serve });
}

/** The answer to one question of a reflection client. */
function answer(request: ReflectionRequest, services: readonly string[], files: DescriptorFiles): Answer {
  if (request.list_services !== undefined)
    return { list_services_response: { service: services.map((name) => ({ name })) } };
  if (request.file_by_filename !== undefined) {
    return descriptors(files.byName(request.file_by_filename), `file ${request.file_by_filename}`);
  }
  if (request.file_containing_symbol !== undefined) {
    return descriptors(files.bySymbol(request.file_containing_symbol), `symbol ${request.file_containing_symbol}`);
  }
  if (request.file_containing_extension !== undefined) {
    const { containing_type: type = "", extension_number: number = 0 } = request.file_containing_extension;
    return descriptors(files.byExtension(type, number), `extension ${number} of ${type}`);
  }
  if (request.all_extension_numbers_of_type !== undefined)
    return extensionNumbers(request.all_extension_numbers_of_type, files);
  return failure(status.UNIMPLEMENTED, "this kind of question is not known here");
}

function extensionNumbers(type: string, files: DescriptorFiles): Answer {
  const numbers = files.extensionNumbers(type);
  if (numbers === undefined) return failure(status.NOT_FOUND, `no type ${type}`);
  return { all_extension_numbers_response: { base_type_name: type, extension_number: numbers } };
}

function descriptors(found: readonly Buffer[] | undefined, what: string): Answer {
  if (found === undefined) return failure(status.NOT_FOUND, `no ${what}`);
  return { file_descriptor_response: { file_descriptor_proto: found } };
}

function failure(code: status, message: string): Answer {
  return { error_response: { error_code: code, error_message: message } };
}
