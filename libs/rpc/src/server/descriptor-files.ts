import { toBinary, type DescFile, type DescMessage } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { descriptorRegistry } from "@headroom/contracts";

/** The .proto files of the descriptor set, as reflection tells them. */
export interface DescriptorFiles {
  /** The file's bytes and those of all it imports, each after those it needs; undefined: no such file. */
  byName(fileName: string): readonly Buffer[] | undefined;
  /** By the full name of a service, method, message, field, oneof, enum, enum value or extension. */
  bySymbol(symbol: string): readonly Buffer[] | undefined;
  byExtension(containingType: string, number: number): readonly Buffer[] | undefined;
  /** Numbers of all extensions of a message type; undefined: no such type. */
  extensionNumbers(containingType: string): readonly number[] | undefined;
}

let shared: DescriptorFiles | undefined;

/**
 * Indexes the files, once. Each is told in the compiler's own words: proto-loader's re-made descriptors lose imports and spell the entries of
 * maps in another way, so that clients cannot resolve google.protobuf.Timestamp or a map.
 */
export function descriptorFiles(): DescriptorFiles {
  shared ??= indexFiles();
  return shared;
}

function indexFiles(): DescriptorFiles {
  const files = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  for (const file of descriptorRegistry().files) {
    // protobuf-es names files without their ending.
    files.set(file.proto.name, file);
    for (const symbol of symbolsOf(file)) symbols.set(symbol, file);
    for (const extension of extensionsOf(file)) {
      const numbers = extensions.get(extension.extendee.typeName) ?? new Map<number, DescFile>();
      extensions.set(extension.extendee.typeName, numbers.set(extension.number, file));
    }
  }
  const bytes = new Map<DescFile, Buffer>();
  const told = (file: DescFile | undefined): readonly Buffer[] | undefined =>
    file === undefined ? undefined : withImports(file).map((each) => bytesOf(each, bytes));
  return {
    byName: (fileName) => told(files.get(fileName)),
    bySymbol: (symbol) => told(symbols.get(symbol)),
    byExtension: (type, number) => told(extensions.get(type)?.get(number)),
    extensionNumbers: (type) =>
      descriptorRegistry().getMessage(type) === undefined ? undefined : [...(extensions.get(type)?.keys() ?? [])],
  };
}

function bytesOf(file: DescFile, cache: Map<DescFile, Buffer>): Buffer {
  const known = cache.get(file) ?? Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto));
  cache.set(file, known);
  return known;
}

function withImports(file: DescFile, seen: Set<DescFile> = new Set()): DescFile[] {
  if (seen.has(file)) return [];
  seen.add(file);
  return [...file.dependencies.flatMap((dependency) => withImports(dependency, seen)), file];
}

function* symbolsOf(file: DescFile): Iterable<string> {
  for (const service of file.services) {
    yield service.typeName;
    for (const method of service.methods) yield `${service.typeName}.${method.name}`;
  }
  for (const type of file.enums) yield* enumSymbols(type);
  for (const extension of extensionsOf(file)) yield extension.typeName;
  for (const message of file.messages) yield* messageSymbols(message);
}

function* messageSymbols(message: DescMessage): Iterable<string> {
  yield message.typeName;
  for (const member of [...message.fields, ...message.oneofs]) yield `${message.typeName}.${member.name}`;
  for (const type of message.nestedEnums) yield* enumSymbols(type);
  for (const nested of message.nestedMessages) yield* messageSymbols(nested);
}

function* enumSymbols(type: DescFile["enums"][number]): Iterable<string> {
  yield type.typeName;
  // The values of an enum are names of the scope around it.
  const scope = type.typeName.slice(0, type.typeName.lastIndexOf(".") + 1);
  for (const value of type.values) yield `${scope}${value.name}`;
}

function extensionsOf(scope: DescFile | DescMessage): DescFile["extensions"] {
  if (scope.kind === "file") return [...scope.extensions, ...scope.messages.flatMap(extensionsOf)];
  return [...scope.nestedExtensions, ...scope.nestedMessages.flatMap(extensionsOf)];
}
