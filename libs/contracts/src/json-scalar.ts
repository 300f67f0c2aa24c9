/** Single values of JSON, checked one by one so that an error can say which field it is about. */
import { ScalarType, fromJson, type DescEnum, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
import { enumNumberOf, enumWords } from "./enum-words.ts";

/** A value that standard proto JSON takes, or what is wrong with the given one. */
export type ReadValue =
  | { readonly kind: "ok"; readonly value: JsonValue }
  | { readonly kind: "wrong"; readonly description: string };

export function readScalar(type: ScalarType, value: unknown): ReadValue {
  switch (type) {
    case ScalarType.STRING:
      return typeof value === "string" ? { kind: "ok", value } : wrong(value, "must be a string");
    case ScalarType.BOOL:
      return typeof value === "boolean" ? { kind: "ok", value } : wrong(value, "must be true or false");
    case ScalarType.BYTES:
      return typeof value === "string" && BASE64.test(value)
        ? { kind: "ok", value }
        : wrong(value, "must be a string in base64");
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return readNumber(value);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return readInteger(value, -(2n ** 31n), 2n ** 31n - 1n);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return readInteger(value, 0n, 2n ** 32n - 1n);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return readInteger(value, -(2n ** 53n - 1n), 2n ** 53n - 1n);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return readInteger(value, 0n, 2n ** 53n - 1n);
  }
}

export function readEnum(type: DescEnum, value: unknown): ReadValue {
  if (typeof value === "string") {
    const number = enumNumberOf(type, value);
    if (number !== undefined) return { kind: "ok", value: number };
  }
  if (typeof value === "number" && type.value[value] !== undefined) return { kind: "ok", value };
  // "unspecified" is accepted, and nothing to recommend.
  const words = enumWords(type).filter((word) => word !== "unspecified");
  return wrong(value, `must be one of ${words.join(", ")}`);
}

/** Message types that JSON writes as a single value. */
const SINGLE_VALUES: ReadonlyMap<string, string> = new Map([
  ["google.protobuf.Timestamp", 'must be a time such as "2026-01-31T12:00:00Z" (RFC 3339)'],
  ["google.protobuf.Duration", 'must be a number of seconds with an "s" behind it, such as "3s" or "0.5s"'],
]);

export function isSingleValue(type: DescMessage): boolean {
  return SINGLE_VALUES.has(type.typeName);
}

export function readSingleValue(type: DescMessage, value: unknown): ReadValue {
  const rule = SINGLE_VALUES.get(type.typeName) ?? "is malformed";
  if (typeof value !== "string") return wrong(value, rule);
  try {
    fromJson(type, value);
    return { kind: "ok", value };
  } catch {
    return wrong(value, rule);
  }
}

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
// Each digit can be taken in one way only: a long row of them that is no number must cost no more than its length.
const DECIMAL = /^-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

function readNumber(value: unknown): ReadValue {
  const number = typeof value === "string" && DECIMAL.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number)
    ? { kind: "ok", value: number }
    : wrong(value, "must be a finite number");
}

function readInteger(value: unknown, min: bigint, max: bigint): ReadValue {
  const rule = `must be a whole number from ${min} to ${max}`;
  const number = typeof value === "string" && DECIMAL.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number)) return wrong(value, rule);
  const whole = BigInt(number);
  return whole >= min && whole <= max ? { kind: "ok", value: number } : wrong(value, rule);
}

/** The rule, and what was given instead where that is short enough to help. */
export function wrong(value: unknown, rule: string): { readonly kind: "wrong"; readonly description: string } {
  return { kind: "wrong", description: `${rule}, not ${shown(value)}` };
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 64 ? text : `${text.slice(0, 61)}...`;
}
