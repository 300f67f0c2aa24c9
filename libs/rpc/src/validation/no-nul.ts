import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import type { FieldViolation } from "../errors.ts";

/** Where a text holds U+0000, which protobuf allows and PostgreSQL refuses, in text as in JSON. Looks no further than `max` places. */
export function findNul(type: DescMessage, message: Message, bytes: Uint8Array, max: number): FieldViolation[] {
  // Most requests have no zero byte at all; those with doubles do, and are looked through.
  if (!bytes.includes(0)) return [];
  const found: FieldViolation[] = [];
  walk(type, message, "", (field) => {
    found.push({ field, description: "must not hold a NUL character (U+0000)" });
    return found.length < max;
  });
  return found;
}

/** Called with the path of each text at fault; false ends the walk. */
type Report = (path: string) => boolean;

/** Messages of protobuf-es are plain objects: fields by local name, the set one of a oneof as `{ case, value }`. */
function walk(type: DescMessage, message: object, path: string, report: Report): boolean {
  for (const field of type.fields) {
    const at = path === "" ? field.name : `${path}.${field.name}`;
    const value = valueOf(message, field);
    if (value !== undefined && !walkField(field, value, at, report)) return false;
  }
  return true;
}

function valueOf(message: object, field: DescField): unknown {
  if (field.oneof === undefined) return Reflect.get(message, field.localName);
  const chosen: unknown = Reflect.get(message, field.oneof.localName);
  if (typeof chosen !== "object" || chosen === null || Reflect.get(chosen, "case") !== field.localName)
    return undefined;
  return Reflect.get(chosen, "value");
}

function walkField(field: DescField, value: unknown, at: string, report: Report): boolean {
  switch (field.fieldKind) {
    case "scalar":
      return field.scalar !== ScalarType.STRING || walkText(value, at, report);
    case "enum":
      return true;
    case "message":
      return walkMessage(field.message, value, at, report);
    case "list":
      return walkList(field, value, at, report);
    case "map":
      return walkMap(field, value, at, report);
  }
}

function walkText(value: unknown, at: string, report: Report): boolean {
  return typeof value !== "string" || !value.includes("\0") || report(at);
}

function walkMessage(type: DescMessage, value: unknown, at: string, report: Report): boolean {
  return typeof value !== "object" || value === null || walk(type, value, at, report);
}

function walkList(field: DescField & { fieldKind: "list" }, value: unknown, at: string, report: Report): boolean {
  if (!Array.isArray(value)) return true;
  return value.every((item: unknown, index) => {
    if (field.listKind === "message") return walkMessage(field.message, item, `${at}[${index}]`, report);
    return field.listKind === "enum" || walkText(item, `${at}[${index}]`, report);
  });
}

function walkMap(field: DescField & { fieldKind: "map" }, value: unknown, at: string, report: Report): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([key, item]: [string, unknown]) => {
    // The key is not repeated in the path: it is what is at fault, or may be a secret's name.
    if (!walkText(key, `${at} (a key)`, report)) return false;
    const inside = `${at}[${JSON.stringify(key)}]`;
    if (field.mapKind === "message") return walkMessage(field.message, item, inside, report);
    return field.mapKind === "enum" || walkText(item, inside, report);
  });
}
