import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import type { FieldViolation } from "../errors.ts";

/** JSON under construction; keys are names of fields. */
export type JsonDraft = Record<string, unknown>;

// A header of 16 KiB holds no more than this; beyond it is no query that a person or program means.
const MAX_PARAMETERS = 1_000;

/**
 * Query parameters as the JSON of a request: repeated fields by repetition, nested ones with dots, maps as `labels[key]=v` or
 * `labels.key=v`. An empty value is the same as leaving the parameter out (except in a map). Adds to `violations` what fits no field.
 */
export function queryToJson(type: DescMessage, query: string, violations: FieldViolation[]): JsonDraft {
  const json: JsonDraft = {};
  let count = 0;
  for (const [name, value] of new URLSearchParams(query)) {
    count += 1;
    if (count > MAX_PARAMETERS) {
      violations.push({ field: name, description: `there are more than ${MAX_PARAMETERS} query parameters` });
      break;
    }
    const problem = place(type, json, name, value);
    if (problem !== null && violations.length < 20) violations.push({ field: name, description: problem });
  }
  return json;
}

/** Puts one parameter where it belongs; answers what is wrong, or null. */
function place(type: DescMessage, json: JsonDraft, name: string, value: string): string | null {
  const match = /^([A-Za-z0-9_]+)(.*)$/s.exec(name);
  const field = type.fields.find((each) => each.name === match?.[1] || each.jsonName === match?.[1]);
  const rest = match?.[2] ?? "";
  if (field === undefined) return unknownParameter(type);
  switch (field.fieldKind) {
    case "scalar":
    case "enum":
      return rest === "" ? placeSingle(field, json, value) : notNested(field);
    case "list":
      if (field.message !== undefined) return "a list of objects cannot be written in a query";
      return rest === "" || rest === "[]" ? placeItem(field, json, value) : notNested(field);
    case "map":
      return placeEntry(field, json, rest, value);
    case "message":
      if (field.message.typeName.startsWith("google.protobuf.")) {
        return rest === "" ? placeSingle(field, json, value) : notNested(field);
      }
      if (!rest.startsWith("."))
        return `is an object; write its fields as ${field.name}.${exampleField(field.message)}`;
      return place(field.message, draftAt(json, field.name), rest.slice(1), value);
  }
}

function placeSingle(field: DescField, json: JsonDraft, value: string): string | null {
  if (value === "") return null;
  if (Object.hasOwn(json, field.name)) return "is given more than once";
  json[field.name] = typed(field, value);
  return null;
}

function placeItem(field: DescField, json: JsonDraft, value: string): string | null {
  if (value === "") return null;
  const before = json[field.name];
  json[field.name] = [...(Array.isArray(before) ? (before as unknown[]) : []), typed(field, value)];
  return null;
}

function placeEntry(field: DescField, json: JsonDraft, rest: string, value: string): string | null {
  const key = /^(?:\[([^\]]+)\]|\.(.+))$/s.exec(rest);
  const name = key?.[1] ?? key?.[2];
  if (name === undefined) return `is a map; write ${field.name}[key]=value`;
  const entries = draftAt(json, field.name);
  if (Object.hasOwn(entries, name)) return "is given more than once";
  // defineProperty, so that a key "__proto__" is a key like any other.
  Object.defineProperty(entries, name, { value: typed(field, value), enumerable: true, configurable: true });
  return null;
}

function draftAt(json: JsonDraft, name: string): JsonDraft {
  // Only this file writes drafts, and an object under the name of a message or map.
  const draft = (json[name] ?? {}) as JsonDraft;
  json[name] = draft;
  return draft;
}

/** Numbers, words and times are read from text as in JSON; only booleans need help. */
function typed(field: DescField, value: string): unknown {
  if (field.scalar !== ScalarType.BOOL) return value;
  if (value === "true" || value === "1") return true;
  return value === "false" || value === "0" ? false : value;
}

function notNested(field: DescField): string {
  return `has no fields of its own; write ${field.name}=value`;
}

function unknownParameter(type: DescMessage): string {
  if (type.fields.length === 0) return "there is no such query parameter; there are none here";
  return `there is no such query parameter; there are ${type.fields.map(({ name }) => name).join(", ")}`;
}

function exampleField(type: DescMessage): string {
  return type.fields[0]?.name ?? "field";
}
