import { fromJson, toBinary, type DescField, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
import { descriptorRegistry } from "./descriptors.ts";
import { isSingleValue, readEnum, readScalar, readSingleValue, wrong, type ReadValue } from "./json-scalar.ts";

/** One field of a JSON document that cannot be accepted. */
export interface JsonViolation {
  /** Path as the .proto names it: `plan.tasks[3].name`. Empty: the document as a whole. */
  readonly field: string;
  readonly description: string;
}

export type JsonMessage =
  | { readonly kind: "ok"; readonly value: Uint8Array }
  | { readonly kind: "invalid"; readonly violations: readonly JsonViolation[] };

/** What is named of a document; more would not help a person. */
const MAX_VIOLATIONS = 20;

/**
 * The encoded message of a JSON value (as JSON.parse gives it). Accepts what messageToJson prints, and besides the camelCase names and
 * full upper-case enum values of standard proto JSON; null is the same as leaving a field out. Names all fields at fault, unknown
 * ones too. Rules that stand in the .proto (protovalidate) are not checked here. Throws TypeError for an unknown type.
 */
export function jsonToMessageBytes(typeName: string, json: unknown): JsonMessage {
  const type = descriptorRegistry().getMessage(typeName);
  if (type === undefined) throw new TypeError(`no message type is called ${typeName}`);
  const violations: JsonViolation[] = [];
  const standard = readMessage(type, json, "", violations);
  if (violations.length > 0) return { kind: "invalid", violations };
  try {
    return { kind: "ok", value: toBinary(type, fromJson(type, standard)) };
  } catch (error) {
    // What is left for the library to find, such as a lone surrogate in a string.
    const description = error instanceof Error ? error.message : "is malformed";
    return { kind: "invalid", violations: [{ field: "", description }] };
  }
}

/** Standard proto JSON of a message; `{}` where something was wrong, which is then among the violations. */
function readMessage(type: DescMessage, json: unknown, path: string, violations: JsonViolation[]): JsonValue {
  if (isSingleValue(type)) return taken(readSingleValue(type, json), path, violations);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return taken(wrong(json, "must be an object"), path, violations);
  }
  const standard: Record<string, JsonValue> = {};
  const givenBy = new Map<DescField | string, string>();
  for (const [key, value] of Object.entries(json)) {
    const field = type.fields.find(({ name, jsonName }) => name === key || jsonName === key);
    if (field === undefined) {
      complain(violations, join(path, key), unknownField(type));
      continue;
    }
    if (value === null) continue;
    // Of a oneof, and of two spellings of one name, one may be given.
    const slot = field.oneof === undefined ? field : `oneof ${field.oneof.name}`;
    const before = givenBy.get(slot);
    if (before !== undefined) {
      complain(violations, join(path, key), `cannot be given together with ${before}`);
      continue;
    }
    givenBy.set(slot, key);
    standard[field.jsonName] = readField(field, value, join(path, field.name), violations);
  }
  return standard;
}

function readField(field: DescField, value: unknown, path: string, violations: JsonViolation[]): JsonValue {
  switch (field.fieldKind) {
    case "scalar":
    case "enum":
    case "message":
      return readSingle(field, value, path, violations);
    case "list":
      if (!Array.isArray(value)) return taken(wrong(value, "must be a list"), path, violations);
      return value.map((item: unknown, index) => readSingle(field, item, `${path}[${index}]`, violations));
    case "map":
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        return taken(wrong(value, "must be an object"), path, violations);
      }
      // fromEntries makes own properties, so that a key "__proto__" is a key like any other.
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [
          key,
          readSingle(field, item, `${path}[${JSON.stringify(key)}]`, violations),
        ]),
      );
  }
}

type SingleType = Pick<DescField, "scalar" | "enum" | "message">;

function readSingle(type: SingleType, value: unknown, path: string, violations: JsonViolation[]): JsonValue {
  if (type.message !== undefined) return readMessage(type.message, value, path, violations);
  if (type.enum !== undefined) return taken(readEnum(type.enum, value), path, violations);
  if (type.scalar !== undefined) return taken(readScalar(type.scalar, value), path, violations);
  return null;
}

function taken(read: ReadValue, field: string, violations: JsonViolation[]): JsonValue {
  if (read.kind === "ok") return read.value;
  complain(violations, field, read.description);
  return {};
}

/** Bounded: a document of a million wrong fields is one mistake, not a million. */
function complain(violations: JsonViolation[], field: string, description: string): void {
  if (violations.length < MAX_VIOLATIONS) violations.push({ field: shortened(field), description });
}

function shortened(field: string): string {
  return field.length <= 200 ? field : `${field.slice(0, 197)}...`;
}

function unknownField(type: DescMessage): string {
  if (type.fields.length === 0) return "there is no such field; the request has none";
  return `there is no such field; the fields are ${type.fields.map(({ name }) => name).join(", ")}`;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
