import type {
  DescEnum,
  DescEnumValue,
  DescField,
  DescFile,
  DescMessage,
  DescMethod,
  DescService,
} from "@bufbuild/protobuf";

export type Commented = DescMessage | DescField | DescEnum | DescEnumValue | DescService | DescMethod;

const cache = new WeakMap<DescFile, ReadonlyMap<string, string>>();

/** The comment that stands before something in its .proto file; empty where there is none. */
export function commentOf(desc: Commented): string {
  return commentsOf(fileOf(desc)).get(pathOf(desc).join(".")) ?? "";
}

/** Comments by SourceCodeInfo path: `4.0.2.3` is field 3 of message 0. */
function commentsOf(file: DescFile): ReadonlyMap<string, string> {
  const known = cache.get(file);
  if (known !== undefined) return known;
  const comments = new Map<string, string>();
  for (const { path, leadingComments } of file.proto.sourceCodeInfo?.location ?? []) {
    const text = leadingComments
      .split("\n")
      .map((line) => line.trim())
      .join("\n")
      .trim();
    if (text !== "") comments.set(path.join("."), text);
  }
  cache.set(file, comments);
  return comments;
}

function fileOf(desc: Commented): DescFile {
  switch (desc.kind) {
    case "message":
    case "enum":
    case "service":
      return desc.file;
    case "field":
    case "enum_value":
    case "rpc":
      return desc.parent.file;
  }
}

// The numbers are those of the fields of FileDescriptorProto, DescriptorProto, EnumDescriptorProto and ServiceDescriptorProto.
function pathOf(desc: Commented): readonly number[] {
  switch (desc.kind) {
    case "message":
      return desc.parent === undefined
        ? [4, desc.file.proto.messageType.indexOf(desc.proto)]
        : [...pathOf(desc.parent), 3, desc.parent.proto.nestedType.indexOf(desc.proto)];
    case "enum":
      return desc.parent === undefined
        ? [5, desc.file.proto.enumType.indexOf(desc.proto)]
        : [...pathOf(desc.parent), 4, desc.parent.proto.enumType.indexOf(desc.proto)];
    case "service":
      return [6, desc.file.proto.service.indexOf(desc.proto)];
    case "field":
      return [...pathOf(desc.parent), 2, desc.parent.proto.field.indexOf(desc.proto)];
    case "enum_value":
      return [...pathOf(desc.parent), 2, desc.parent.proto.value.indexOf(desc.proto)];
    case "rpc":
      return [...pathOf(desc.parent), 2, desc.parent.proto.method.indexOf(desc.proto)];
  }
}
