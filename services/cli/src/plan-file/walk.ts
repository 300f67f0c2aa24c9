import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from "yaml";
import { isWordMessage, readScalar, readWordMessage, type ScalarRead, textOf } from "./scalars.ts";
import { nearest } from "./suggest.ts";

/** One thing that is wrong, and where. */
export interface PlanProblem {
  /** From 1; 0 when it is about no place. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Reads a YAML tree as a message of the contract, collecting all that is wrong with it. */
export interface Walk {
  readonly document: Document;
  report(node: unknown, message: string): void;
}

type JsonObject = Record<string, unknown>;

const maxMergeDepth = 10;

/** The proto JSON of a YAML map; undefined where it is none. */
export function walkMessage(walk: Walk, node: unknown, type: DescMessage, path: string): JsonObject | undefined {
  const map = resolved(walk, node);
  if (!isMap(map)) {
    const what = path === "" ? "the file" : path;
    walk.report(node, `${what} must be made of "key: value" lines: ${type.fields.map(({ name }) => name).join(", ")}`);
    return undefined;
  }
  const json: JsonObject = {};
  for (const [key, pair] of pairsOf(walk, map)) {
    const field = type.fields.find(({ name }) => name === key);
    if (field === undefined) {
      walk.report(pair.key, unknownKey(key, type, path));
      continue;
    }
    const value = walkField(walk, pair.value, field, join(path, key), pair.key);
    if (value !== undefined) json[key] = value;
  }
  return json;
}

function walkField(walk: Walk, node: unknown, field: DescField, path: string, keyNode: unknown): unknown {
  const value = resolved(walk, node);
  switch (field.fieldKind) {
    case "list":
      return walkList(walk, value, field, path, keyNode);
    case "map":
      return walkMap(walk, value, path, keyNode);
    case "message":
    case "scalar":
    case "enum":
      return walkSingle(walk, value, field, path, keyNode);
  }
}

function walkList(walk: Walk, node: unknown, field: DescField, path: string, keyNode: unknown): unknown[] | undefined {
  if (!isSeq(node)) {
    const example = isScalar(node) && typeof node.value === "string" ? `: write [${cutWord(node.value)}]` : "";
    walk.report(node ?? keyNode, `${path} must be a list${example}`);
    return undefined;
  }
  return node.items.map((item, index) => walkSingle(walk, resolved(walk, item), field, `${path}[${index}]`, item));
}

function walkMap(walk: Walk, node: unknown, path: string, keyNode: unknown): JsonObject | undefined {
  if (!isMap(node)) {
    walk.report(node ?? keyNode, `${path} must be made of "name: text" lines`);
    return undefined;
  }
  const entries: [string, string][] = [];
  for (const [key, pair] of pairsOf(walk, node)) {
    const value = resolved(walk, pair.value);
    if (isScalar(value) && value.value !== null) entries.push([key, textOf(value)]);
    else walk.report(value ?? pair.key, `${join(path, key)} must be a text`);
  }
  return Object.fromEntries(entries);
}

function walkSingle(
  walk: Walk,
  node: unknown,
  field: Pick<DescField, "message" | "scalar" | "enum">,
  path: string,
  keyNode: unknown,
): unknown {
  if (field.message !== undefined && !isWordMessage(field))
    return walkMessage(walk, node ?? keyNode, field.message, path);
  if (!isScalar(node)) {
    walk.report(node ?? keyNode, `${path} must be a single value`);
    return undefined;
  }
  let read: ScalarRead;
  if (field.message !== undefined) read = readWordMessage(field, node);
  else if (field.scalar !== undefined) read = readScalar(field.scalar, node);
  else read = { kind: "ok", value: textOf(node) };
  if (read.kind === "ok") return read.value;
  walk.report(node, `${path}: ${read.problem}`);
  return undefined;
}

/** The pairs of a map by key, those behind a merge key (`<<: *base`) included where the map does not say otherwise. */
function pairsOf(walk: Walk, map: YAMLMap, depth = 0): ReadonlyMap<string, Pair> {
  const pairs = new Map<string, Pair>();
  const merged: Pair[] = [];
  for (const pair of map.items) {
    const key = isScalar(pair.key) ? textOf(pair.key) : String(pair.key);
    if (key === "<<") merged.push(pair);
    else pairs.set(key, pair);
  }
  for (const pair of merged) {
    const value = resolved(walk, pair.value);
    for (const item of isSeq(value) ? value.items : [value]) {
      const base = resolved(walk, item);
      if (!isMap(base)) walk.report(pair.key, '"<<" must name a map, such as <<: *base');
      // A map that merges itself would never end.
      else if (depth >= maxMergeDepth) walk.report(pair.key, `"<<" goes deeper than ${maxMergeDepth} maps`);
      else for (const [key, basePair] of pairsOf(walk, base, depth + 1)) if (!pairs.has(key)) pairs.set(key, basePair);
    }
  }
  return pairs;
}

function resolved(walk: Walk, node: unknown): Node | undefined {
  if (isAlias(node)) {
    const target = node.resolve(walk.document);
    if (target === undefined) walk.report(node, `there is no &${node.source} above`);
    return target;
  }
  // Whatever is no alias is a node of the document already, or null for an empty value.
  return (node ?? undefined) as Node | undefined;
}

function unknownKey(key: string, type: DescMessage, path: string): string {
  const where = path === "" ? "a plan" : path;
  const inner = type.fields.find((field) => field.message?.fields.some(({ name }) => name === key));
  if (inner !== undefined && inner.fieldKind === "message") {
    return `${where} has no key "${key}": it belongs under ${inner.name}:`;
  }
  const names = type.fields.map(({ name }) => name);
  const meant = nearest(key, names);
  return meant === null
    ? `${where} has no key "${key}"; its keys are ${names.join(", ")}`
    : `${where} has no key "${key}"; did you mean ${meant}?`;
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function cutWord(text: string): string {
  return text.length > 40 ? "…" : text;
}
