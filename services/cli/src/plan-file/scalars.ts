import { type DescField, ScalarType } from "@bufbuild/protobuf";
import type { Scalar } from "yaml";
import { durationExample, parseDuration } from "./duration.ts";

/** A value as JSON has it, or what is wrong with it. */
export type ScalarRead =
  | { readonly kind: "ok"; readonly value: unknown }
  | { readonly kind: "wrong"; readonly problem: string };

const ok = (value: unknown): ScalarRead => ({ kind: "ok", value });
const wrong = (problem: string): ScalarRead => ({ kind: "wrong", problem });

/** Text of a scalar as it was written, so that `argv: [echo, 1.0, yes]` says what it shows. */
export function textOf(node: Scalar): string {
  if (typeof node.value === "string") return node.value;
  return node.source ?? String(node.value);
}

/** Reads a scalar for a field of scalar type. */
export function readScalar(type: ScalarType, node: Scalar): ScalarRead {
  if (node.value === null || node.value === undefined) return wrong("has no value");
  switch (type) {
    case ScalarType.STRING:
      return ok(textOf(node));
    case ScalarType.BOOL:
      return typeof node.value === "boolean" ? ok(node.value) : wrong("must be true or false");
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return readNumber(node, "a number");
    case ScalarType.INT32:
    case ScalarType.INT64:
    case ScalarType.UINT32:
    case ScalarType.UINT64:
    case ScalarType.SINT32:
    case ScalarType.SINT64:
    case ScalarType.FIXED32:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED32:
    case ScalarType.SFIXED64:
      return Number.isInteger(node.value) ? ok(node.value) : readNumber(node, "a whole number", true);
    case ScalarType.BYTES:
      return ok(textOf(node));
  }
}

function readNumber(node: Scalar, what: string, always = false): ScalarRead {
  if (typeof node.value === "number" && Number.isFinite(node.value) && !always) return ok(node.value);
  const leading = /^\s*(\d+(?:\.\d+)?)/.exec(textOf(node))?.[1];
  const example = leading === undefined || always ? "" : `: write ${leading}`;
  return wrong(`must be ${what}, not ${JSON.stringify(textOf(node))}${example}`);
}

/** Durations and times, which are messages on the wire and single words in a file. */
export function readWordMessage(field: Pick<DescField, "message">, node: Scalar): ScalarRead {
  if (node.value === null || node.value === undefined) return wrong("has no value");
  const text = textOf(node);
  return field.message?.typeName === "google.protobuf.Duration" ? readDuration(text) : readTime(text);
}

function readDuration(text: string): ScalarRead {
  const ms = parseDuration(text);
  if (ms !== null) return ok(`${Number((ms / 1_000).toFixed(3))}s`);
  const hint = /^\d+(\.\d+)?$/.test(text) ? `has no unit: write ${text}s for seconds` : "is no duration";
  return wrong(`${JSON.stringify(text)} ${hint} (such as ${durationExample})`);
}

function readTime(text: string): ScalarRead {
  const hasZone = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2})$/.test(text);
  const ms = Date.parse(text.replace(" ", "T"));
  if (hasZone && !Number.isNaN(ms)) {
    const day = missingDay(text);
    if (day !== null) return wrong(`${JSON.stringify(text)} names no day: that month has no day ${day}`);
    return ok(new Date(ms).toISOString());
  }
  return wrong(
    `${JSON.stringify(text)} is no time with its zone, such as 2026-01-31T12:00:00Z or 2026-01-31T14:00:00+02:00`,
  );
}

/** The day of 2026-02-30, which `Date.parse` takes for the 2nd of March; null: there is such a day. */
function missingDay(text: string): number | null {
  const [year = 0, month = 0, day = 0] = text.split(/\D/, 3).map(Number);
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day ? null : day;
}

/** Whether a message is written as one word. */
export function isWordMessage(field: Pick<DescField, "message">): boolean {
  const name = field.message?.typeName;
  return name === "google.protobuf.Duration" || name === "google.protobuf.Timestamp";
}
