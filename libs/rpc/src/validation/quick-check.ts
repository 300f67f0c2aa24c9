import {
  getOption,
  hasOption,
  isFieldSet,
  ScalarType,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  field as fieldRules,
  FieldRulesSchema,
  Ignore,
  message as messageRules,
  oneof as oneofRules,
  type FieldRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { descriptorRegistry } from "@headroom/contracts";

/** True: the value surely keeps all rules. False: it may break one, and protovalidate has to say which. */
type Check = (value: unknown) => boolean;

/** A message as ts-proto decodes it. */
type Fields = Readonly<Record<string, unknown>>;

const uuidPattern = /^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;
const nothing: Check = () => true;

/** A rule that is not known here; protovalidate then looks at every message of the type. */
class UnknownRuleError extends Error {}

/**
 * The rules of a message type, compiled for messages that ts-proto has decoded: 1 µs for a heartbeat with a sample, where protovalidate and
 * its own decoding take 12. It only ever says "surely valid"; the words for what is wrong stay protovalidate's. Null: the type has a rule
 * that is not known here.
 */
export function compileQuickCheck(typeName: string): Check | null {
  const type = descriptorRegistry().getMessage(typeName);
  if (type === undefined) throw new TypeError(`the descriptor set has no message ${typeName}`);
  try {
    return messageCheck(type, new Map());
  } catch (error) {
    if (error instanceof UnknownRuleError) return null;
    throw error;
  }
}

function messageCheck(type: DescMessage, known: Map<DescMessage, Check>): Check {
  const made = known.get(type);
  if (made !== undefined) return made;
  const checks: Check[] = expressionChecks(type);
  // Types may contain themselves: the checks are filled in below.
  const check: Check = (value) => checks.every((each) => each(value));
  known.set(type, check);
  for (const oneof of type.oneofs) {
    const cases = new Map(oneof.fields.map((field) => [field.localName, valueCheck(field, known)]));
    checks.push(oneofCheck(oneof.localName, cases, getOption(oneof, oneofRules).required));
  }
  for (const field of type.fields) {
    if (field.oneof !== undefined) continue;
    const ofValue = fieldCheck(field, known);
    if (ofValue === nothing) continue;
    const name = field.localName;
    checks.push((message) => ofValue((message as Fields)[name]));
  }
  return check;
}

/** The CEL rules of messages, by their id, in a few words of our own; the property test holds them against protovalidate's. */
const expressions: ReadonlyMap<string, (message: Fields) => boolean> = new Map([
  [
    "resource_needs.cards",
    ({ gpuCount, gpuVramGb, gpuExclusive, gpuModels }: Fields) =>
      gpuCount !== 0 ||
      ((gpuVramGb === undefined || gpuVramGb === 0) &&
        gpuExclusive !== true &&
        Array.isArray(gpuModels) &&
        gpuModels.length === 0),
  ],
]);

function expressionChecks(type: DescMessage): Check[] {
  if (!hasOption(type, messageRules)) return [];
  const { cel, celExpression, oneof } = getOption(type, messageRules);
  if (celExpression.length > 0 || oneof.length > 0) throw new UnknownRuleError(type.typeName);
  return cel.map(({ id }) => {
    const known = expressions.get(id);
    if (known === undefined) throw new UnknownRuleError(id);
    return (message) => known(message as Fields);
  });
}

function oneofCheck(name: string, cases: ReadonlyMap<string, Check>, isRequired: boolean): Check {
  return (message) => {
    const chosen = (message as Fields)[name] as { readonly $case: string; readonly value: unknown } | undefined;
    if (chosen === undefined) return !isRequired;
    return cases.get(chosen.$case)?.(chosen.value) ?? false;
  };
}

/** Of a field outside of a oneof: absent, it keeps its rules unless it is required. */
function fieldCheck(field: DescField, known: Map<DescMessage, Check>): Check {
  const rules = getOption(field, fieldRules);
  const ofValue = valueCheck(field, known);
  const hasPresence = field.fieldKind === "message" || field.proto.proto3Optional;
  if (!hasPresence) return ofValue;
  if (!rules.required && ofValue === nothing) return nothing;
  return (value) => (value === undefined ? !rules.required : ofValue(value));
}

/** Of a field's value that is there. */
function valueCheck(field: DescField, known: Map<DescMessage, Check>): Check {
  const rules = getOption(field, fieldRules);
  const ofType = typeCheck(field, rules, known);
  const isRequiredScalar = rules.required && field.fieldKind !== "message";
  if (isRequiredScalar) throw new UnknownRuleError("required");
  if (rules.ignore !== Ignore.IF_ZERO_VALUE || ofType === nothing) return ofType;
  return (value) => value === "" || value === 0 || ofType(value);
}

function typeCheck(field: DescField, rules: FieldRules, known: Map<DescMessage, Check>): Check {
  switch (field.fieldKind) {
    case "scalar":
      return rules.type.case === undefined && field.scalar !== ScalarType.STRING ? nothing : scalarCheck(rules);
    case "enum":
      return enumCheck(rules, new Set(field.enum.values.map(({ number }) => number)));
    case "message":
      return bothOf(scalarCheck(rules), messageCheck(field.message, known));
    case "list": {
      const { min_items = 0, max_items = Infinity, unique = false, items, ...others } = rulesOf(rules, "repeated");
      requireNone(others);
      const ofItem = itemCheck(field, items as FieldRules | undefined, known);
      return (value) => {
        if (!Array.isArray(value) || value.length < Number(min_items) || value.length > Number(max_items)) return false;
        // Of messages, equal ones are different objects; protovalidate knows no unique messages either.
        if (unique === true && new Set(value).size < value.length) return false;
        return ofItem === nothing || value.every(ofItem);
      };
    }
    case "map": {
      const { min_pairs = 0, max_pairs = Infinity, keys, values, ...others } = rulesOf(rules, "map");
      requireNone(others);
      const ofKey = keys === undefined ? wellFormed : scalarCheck(keys as FieldRules);
      const ofValue = itemCheck(field, values as FieldRules | undefined, known);
      return (value) => {
        const pairs = Object.entries(value as Fields);
        if (pairs.length < Number(min_pairs) || pairs.length > Number(max_pairs)) return false;
        return pairs.every(([key, each]) => ofKey(key) && ofValue(each));
      };
    }
  }
}

function itemCheck(
  field: DescField & { fieldKind: "list" | "map" },
  rules: FieldRules | undefined,
  known: Map<DescMessage, Check>,
): Check {
  if (field.message !== undefined) {
    if (rules !== undefined) throw new UnknownRuleError("rules of items that are messages");
    return messageCheck(field.message, known);
  }
  if (field.enum !== undefined && rules !== undefined) {
    return enumCheck(rules, new Set(field.enum.values.map(({ number }) => number)));
  }
  return rules === undefined ? wellFormed : scalarCheck(rules);
}

function bothOf(first: Check, second: Check): Check {
  if (first === nothing || first === wellFormed) return second;
  return (value) => first(value) && second(value);
}

/** Bytes that are no UTF-8 were decoded with replacement characters: whether they are refused is for the strict decoder to say. */
const wellFormed: Check = (value) => typeof value !== "string" || isPlainText(value);

/** Neither what may stand for broken bytes, nor a NUL character, which is refused in any text (no-nul.ts). */
const isPlainText = (text: string): boolean => !text.includes("\uFFFD") && !text.includes("\0");

type Kind = Exclude<FieldRules["type"]["case"], undefined>;

const checkMakers: Readonly<Partial<Record<Kind, (rules: Fields) => Check>>> = {
  string: stringCheck,
  bytes: bytesCheck,
  duration: durationCheck,
  double: numberCheck,
  int32: numberCheck,
  int64: numberCheck,
  uint32: numberCheck,
  uint64: numberCheck,
};

function scalarCheck(rules: FieldRules): Check {
  const kind = rules.type.case;
  if (kind === undefined) {
    requireNone(rulesOf(rules, null));
    return wellFormed;
  }
  const make = checkMakers[kind];
  if (make === undefined) throw new UnknownRuleError(kind);
  return make(rulesOf(rules, kind));
}

function stringCheck({
  min_len = 0,
  max_len = Infinity,
  max_bytes = Infinity,
  pattern,
  uuid,
  ...others
}: Fields): Check {
  requireNone(others);
  // RE2's patterns are JavaScript's as far as our rules go; one that is not would throw here, at the start.
  const expected = typeof pattern === "string" ? new RegExp(pattern, "u") : null;
  if (uuid === true) return (value) => typeof value === "string" && uuidPattern.test(value);
  // Lengths are told in code points, of which a string has at most as many as UTF-16 units and at least half as many.
  // A UTF-16 unit takes at most three bytes.
  const least = Number(min_len) === 1 ? 1 : 2 * Number(min_len);
  const most = Math.min(Number(max_len), Math.floor(Number(max_bytes) / 3));
  return (value) =>
    typeof value === "string" &&
    value.length >= least &&
    value.length <= most &&
    isPlainText(value) &&
    (expected === null || expected.test(value));
}

function bytesCheck({ max_len = Infinity, ...others }: Fields): Check {
  requireNone(others);
  return (value) => value instanceof Uint8Array && value.length <= Number(max_len);
}

function numberCheck({ gte = -Infinity, lte = Infinity, finite = false, ...others }: Fields): Check {
  requireNone(others);
  const [least, most] = [Number(gte), Number(lte)];
  return (value) =>
    typeof value === "number" && value >= least && value <= most && (finite !== true || Number.isFinite(value));
}

function enumCheck(rules: FieldRules, numbers: ReadonlySet<number>): Check {
  if (rules.type.case === undefined) return nothing;
  const { defined_only = false, ...others } = rulesOf(rules, "enum");
  requireNone(others);
  return defined_only === true ? (value) => numbers.has(value as number) : nothing;
}

interface Span {
  readonly seconds: number | bigint;
  readonly nanos: number;
}

function durationCheck({ gt, gte, lte, ...others }: Fields): Check {
  requireNone(others);
  const nanosOf = ({ seconds, nanos }: Span): bigint => BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
  const above = gt === undefined ? null : nanosOf(gt as Span);
  const least = gte === undefined ? null : nanosOf(gte as Span);
  const most = lte === undefined ? null : nanosOf(lte as Span);
  return (value) => {
    const span = value as Span;
    // A negative part, or a second and more in nanoseconds, is a case for protovalidate.
    if (!(span.seconds >= 0 && span.nanos >= 0 && span.nanos < 1e9)) return false;
    const nanos = nanosOf(span);
    return (above === null || nanos > above) && (least === null || nanos >= least) && (most === null || nanos <= most);
  };
}

/** The rules of this kind that are set, by their names in the .proto. Null: those that lie beside the kind, such as CEL expressions. */
function rulesOf(rules: FieldRules, kind: Kind | null): Fields {
  const { value } = rules.type;
  const beside = setFields(FieldRulesSchema, rules, ({ oneof, name }) => oneof === undefined && !isHandled(name));
  requireNone(beside);
  if (kind === null || rules.type.case === undefined) return {};
  if (rules.type.case !== kind || value === undefined) throw new UnknownRuleError(`${rules.type.case} on ${kind}`);
  const ofKind = FieldRulesSchema.fields.find(({ localName }) => localName === kind);
  if (ofKind?.message === undefined) throw new UnknownRuleError(kind);
  return setFields(ofKind.message, value, () => true);
}

function isHandled(name: string): boolean {
  return name === "required" || name === "ignore";
}

function setFields(type: DescMessage, message: Message, isWanted: (field: DescField) => boolean): Fields {
  const view = reflect(type, message);
  return Object.fromEntries(
    type.fields
      .filter((field) => isWanted(field) && isFieldSet(message, field))
      .map((field) => {
        const value: unknown = view.get(field);
        const isMessage = typeof value === "object" && value !== null && "message" in value;
        return [field.name, isMessage ? value.message : value];
      }),
  );
}

function requireNone(others: Fields): void {
  for (const name of Object.keys(others)) throw new UnknownRuleError(name);
}
