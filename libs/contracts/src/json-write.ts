import {
  ScalarType,
  fromBinary,
  toJson,
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { descriptorRegistry } from "./descriptors.ts";
import { enumWordOfName } from "./enum-words.ts";
import { encodeWire } from "./wire-codec.ts";

/**
 * A message as Headroom prints JSON everywhere, REST and CLI: names as in the .proto, zeros always there, absent messages
 * and absent optionals left out, enums as lower-case words without their prefix, int64 as numbers when they are safe, times RFC 3339,
 * durations "3s", bytes base64. `message` is the encoded message or a `wire` object. Throws TypeError for an unknown type.
 */
export function messageToJson(typeName: string, message: Uint8Array | object): JsonObject {
  const type = descriptorRegistry().getMessage(typeName);
  if (type === undefined) throw new TypeError(`no message type is called ${typeName}`);
  const bytes = message instanceof Uint8Array ? message : encodeWire(type.name, message);
  const json = toJson(type, fromBinary(type, bytes), {
    useProtoFieldName: true,
    alwaysEmitImplicit: true,
    registry: descriptorRegistry(),
  });
  return isObject(json) ? inOurWords(type, json) : { value: json };
}

/** Rewrites in place what standard proto JSON says otherwise: enums and 64-bit integers. */
function inOurWords(type: DescMessage, json: JsonObject): JsonObject {
  for (const field of type.fields) {
    const value = json[field.name];
    if (value !== undefined) json[field.name] = fieldInOurWords(field, value);
  }
  return json;
}

function fieldInOurWords(field: DescField, value: JsonValue): JsonValue {
  switch (field.fieldKind) {
    case "list":
      return Array.isArray(value) ? value.map((item) => singleInOurWords(field, item)) : value;
    case "map":
      // fromEntries makes own properties, so that a key "__proto__" is a key like any other.
      return isObject(value)
        ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, singleInOurWords(field, item)]))
        : value;
    case "scalar":
    case "enum":
    case "message":
      return singleInOurWords(field, value);
  }
}

interface SingleType {
  readonly scalar: ScalarType | undefined;
  readonly enum: DescEnum | undefined;
  readonly message: DescMessage | undefined;
}

function singleInOurWords(type: SingleType, value: JsonValue): JsonValue {
  if (type.enum !== undefined) return typeof value === "string" ? (enumWordOfName(type.enum, value) ?? value) : value;
  if (type.message !== undefined) return isObject(value) ? inOurWords(type.message, value) : value;
  if (type.scalar !== undefined && INT64_TYPES.has(type.scalar) && typeof value === "string") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  return value;
}

const INT64_TYPES: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
