/** JSON schemas of messages and enums, as messageToJson prints and jsonToMessageBytes reads them. */
import { ScalarType, type DescEnum, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { enumWords } from "@headroom/contracts";
import { commentOf } from "./proto-comments.ts";

export type Schema = Readonly<Record<string, unknown>>;

/** Collects the schemas that references need, by the simple name of their type (unique over the whole contract). */
export class SchemaCollector {
  readonly #schemas = new Map<string, Schema>();

  /** A reference to a message; its schema and all below are collected. */
  refTo(type: DescMessage | DescEnum): Schema {
    if (!this.#schemas.has(type.name)) {
      // A mark first, so that a message that contains itself ends.
      this.#schemas.set(type.name, {});
      this.#schemas.set(type.name, type.kind === "enum" ? enumSchema(type) : this.#messageSchema(type));
    }
    return { $ref: `#/components/schemas/${type.name}` };
  }

  /** The value of a field, without its description. */
  valueOf(field: DescField): Schema {
    switch (field.fieldKind) {
      case "list":
        return { type: "array", items: this.#singleOf(field) };
      case "map":
        return { type: "object", additionalProperties: this.#singleOf(field) };
      case "scalar":
      case "enum":
      case "message":
        return this.#singleOf(field);
    }
  }

  /** By name, in alphabetical order. */
  all(): Readonly<Record<string, Schema>> {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #singleOf(type: Pick<DescField, "scalar" | "enum" | "message">): Schema {
    if (type.message !== undefined) return WELL_KNOWN.get(type.message.typeName) ?? this.refTo(type.message);
    if (type.enum !== undefined) return this.refTo(type.enum);
    return type.scalar === undefined ? {} : scalarSchema(type.scalar);
  }

  #messageSchema(type: DescMessage): Schema {
    const properties = Object.fromEntries(
      type.fields.map((field) => [field.name, described(this.valueOf(field), commentOf(field))]),
    );
    return described({ type: "object", properties }, commentOf(type));
  }
}

/** Adds a description; beside `$ref` too, which OpenAPI 3.1 allows. */
export function described(schema: Schema, description: string): Schema {
  return description === "" ? schema : { ...schema, description };
}

function enumSchema(type: DescEnum): Schema {
  const words = enumWords(type);
  const lines = type.values.map((value, index) => `- \`${words[index] ?? value.name}\`: ${commentOf(value)}`);
  return { type: "string", enum: words, description: [commentOf(type), "", ...lines].join("\n").trim() };
}

const WELL_KNOWN: ReadonlyMap<string, Schema> = new Map<string, Schema>([
  ["google.protobuf.Timestamp", { type: "string", format: "date-time" }],
  ["google.protobuf.Duration", { type: "string", pattern: "^-?[0-9]+([.][0-9]{1,9})?s$", examples: ["3s", "0.5s"] }],
]);

function scalarSchema(type: ScalarType): Schema {
  switch (type) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: "number", format: type === ScalarType.DOUBLE ? "double" : "float" };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: "integer", format: "int32" };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", format: "int64", minimum: 0, maximum: 4_294_967_295 };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { type: "integer", format: "int64" };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: "integer", format: "int64", minimum: 0 };
  }
}
