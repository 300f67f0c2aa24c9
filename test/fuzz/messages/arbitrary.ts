/** Messages made from the descriptors alone: a new field or RPC is covered without anybody thinking of it. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";
import { double, encodeFields, nestedGroups, type WireField } from "./wire.ts";

/** Texts that mean something in this Headroom, such as ids of its victims. */
export interface Meaningful {
  readonly ids: readonly string[];
  readonly texts: readonly string[];
}

const deepest = 5;

/** Encoded requests of a type, mostly near to what is right. */
export function messageBytes(type: DescMessage, known: Meaningful): fc.Arbitrary<Buffer> {
  const fields = messageFields(type, known, 0);
  return fc
    .tuple(fields, fc.oneof({ weight: 30, arbitrary: fc.constant(none) }, { weight: 1, arbitrary: strange() }))
    .map(([known, strange]) => Buffer.concat([encodeFields(known), strange]));
}

const none = Buffer.alloc(0);

/** What may follow a message and is none of its fields. */
function strange(): fc.Arbitrary<Buffer> {
  return fc.oneof(
    fc.integer({ min: 1, max: 20_000 }).map((depth) => nestedGroups(77, depth)),
    fc.uint8Array({ maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom("07", "0b", "0c", "ffffffffffffffffffff01", "0affffffff0f", "12ffffffff07").map(fromHex),
  );
}

const fromHex = (hex: string): Buffer => Buffer.from(hex, "hex");

function messageFields(type: DescMessage, known: Meaningful, depth: number): fc.Arbitrary<readonly WireField[]> {
  if (type.fields.length === 0) return fc.constant([]);
  // Each field by itself, there or not: several of a oneof now and then, the required one missing now and then.
  const each = type.fields.map((field) => fieldOf(field, known, depth));
  return fc.tuple(...each).map((lists) => lists.flat());
}

function fieldOf(field: DescField, known: Meaningful, depth: number): fc.Arbitrary<readonly WireField[]> {
  const one = valueOf(field, known, depth);
  const absent = fc.constant<readonly WireField[]>([]);
  const present = isMany(field)
    ? fc.oneof(
        { weight: 20, arbitrary: fc.array(one, { maxLength: 3 }) },
        { weight: 1, arbitrary: fc.tuple(one, fc.integer({ min: 4, max: many(depth) })).map(repeated) },
      )
    : fc.oneof(
        { weight: 30, arbitrary: one.map((made) => [made]) },
        // Protobuf says that the last one counts, and that messages are merged.
        { weight: 1, arbitrary: fc.array(one, { minLength: 2, maxLength: 3 }) },
      );
  const weights = weightsOf(field);
  return fc.oneof({ weight: weights.absent, arbitrary: absent }, { weight: weights.present, arbitrary: present });
}

/** An id is nearly always needed; of a oneof one is. */
function weightsOf(field: DescField): { readonly present: number; readonly absent: number } {
  if (field.oneof !== undefined) return { present: 1, absent: 2 };
  return isId(field) ? { present: 15, absent: 1 } : { present: 3, absent: 2 };
}

const isId = (field: DescField): boolean => /(?:_id|_ids|incarnation)$/.test(field.name);

const isMany = (field: DescField): boolean => field.fieldKind === "list" || field.fieldKind === "map";

/** Deeper lists are shorter, or one message would take all the memory. */
const many = (depth: number): number => (depth === 0 ? 11_000 : 300);

const repeated = ([field, times]: [WireField, number]): readonly WireField[] => [
  { no: field.no, kind: "repeat", field, times },
];

function valueOf(field: DescField, known: Meaningful, depth: number): fc.Arbitrary<WireField> {
  return fc.oneof(
    { weight: 60, arbitrary: rightKind(field, known, depth) },
    { weight: 1, arbitrary: wrongKind(field.number) },
  );
}

function rightKind(field: DescField, known: Meaningful, depth: number): fc.Arbitrary<WireField> {
  const no = field.number;
  if (field.fieldKind === "map") return mapEntry(field, known, depth);
  if (field.message !== undefined) {
    if (depth >= deepest) return fc.constant({ no, kind: "message", fields: [] });
    return messageFields(field.message, known, depth + 1).map((fields) => ({ no, kind: "message", fields }));
  }
  if (field.enum !== undefined) {
    const numbers = field.enum.values.map(({ number }) => number);
    return fc
      .oneof({ weight: 8, arbitrary: fc.constantFrom(...numbers) }, fc.constantFrom(-1, 99, 2 ** 31 - 1, -(2 ** 31)))
      .map((number) => ({ no, kind: "varint", value: BigInt(number) }));
  }
  const any = scalar(no, field.scalar ?? ScalarType.STRING, known);
  return isId(field) ? fc.oneof({ weight: 15, arbitrary: anId(no, known) }, any) : any;
}

const anId = (no: number, known: Meaningful): fc.Arbitrary<WireField> =>
  fc.constantFrom(...known.ids).map((id) => ({ no, kind: "bytes", bytes: Buffer.from(id) }));

function mapEntry(field: DescField & { fieldKind: "map" }, known: Meaningful, depth: number): fc.Arbitrary<WireField> {
  const value: fc.Arbitrary<WireField> =
    field.mapKind === "message"
      ? messageFields(field.message, known, depth + 1).map((fields) => ({ no: 2, kind: "message", fields }))
      : scalar(2, field.mapKind === "enum" ? ScalarType.INT32 : field.scalar, known);
  return fc
    .tuple(fc.option(scalar(1, field.mapKey, known), { freq: 20 }), fc.option(value, { freq: 20 }))
    .map((parts) => ({ no: field.number, kind: "message", fields: parts.filter((part) => part !== null) }));
}

function scalar(no: number, type: ScalarType, known: Meaningful): fc.Arbitrary<WireField> {
  switch (type) {
    case ScalarType.DOUBLE:
      return numbers().map((value) => ({ no, kind: "fixed64", bytes: double(value) }));
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => fixed(no, "fixed64", bytes));
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => fixed(no, "fixed32", bytes));
    case ScalarType.STRING:
      return texts(known).map((bytes) => ({ no, kind: "bytes", bytes }));
    case ScalarType.BYTES:
      return fc
        .oneof({ weight: 9, arbitrary: fc.uint8Array({ maxLength: 64 }) }, fc.constant(new Uint8Array(70_000)))
        .map((bytes) => ({ no, kind: "bytes", bytes: Buffer.from(bytes) }));
    case ScalarType.BOOL:
      return fc.constantFrom(0n, 1n, 2n).map((value) => ({ no, kind: "varint", value }));
    case ScalarType.INT32:
    case ScalarType.INT64:
    case ScalarType.UINT32:
    case ScalarType.UINT64:
    case ScalarType.SINT32:
    case ScalarType.SINT64:
      return integers().map((value) => ({ no, kind: "varint", value }));
  }
}

const fixed = (no: number, kind: "fixed64" | "fixed32", bytes: Uint8Array): WireField => ({
  no,
  kind,
  bytes: Buffer.from(bytes),
});

function numbers(): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(0, 0.001, 0.5, 1, 2, 8) },
    { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, -0, -1, 5e-324, 1e300, -1e300, 2 ** 53) },
    { weight: 1, arbitrary: fc.double() },
  );
}

function integers(): fc.Arbitrary<bigint> {
  const [k31, k53, k63] = [2n ** 31n, 2n ** 53n, 2n ** 63n];
  const edges = [-1n, k31 - 1n, k31, -k31, 2n ** 32n, k53 - 1n, k53, k53 + 1n, k63 - 1n, -k63, 2n ** 64n - 1n];
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(0n, 1n, 2n, 5n, 10n, 1_000n) },
    { weight: 2, arbitrary: fc.constantFrom(...edges, 253_402_300_800n, -62_135_596_801n, 1_000_000_000n) },
    { weight: 1, arbitrary: fc.bigInt({ min: -k63, max: k63 - 1n }) },
  );
}

/** Ids and words that are known here; else what breaks those who think that a text is tame. */
function texts(known: Meaningful): fc.Arbitrary<Buffer> {
  const tame = fc.constantFrom(...known.ids, ...known.texts);
  const wild = fc.constantFrom(
    "",
    " ",
    "null",
    "\0",
    "a\0b",
    "__proto__",
    "constructor",
    "'; DROP TABLE registry.agents; --",
    "../../../etc/passwd",
    "%00%ff",
    "\u202e\ufeff",
    "\u{1f4a5}".repeat(40),
    '{"a":1}',
    "00000000-0000-0000-0000-000000000000",
    "cpu_cores_available desc, cpu_cores_available desc",
  );
  const broken = fc.constantFrom("ff", "c080", "eda080", "f5808080", "61ff62", "e280", "efbfbd").map(fromHex);
  const long = fc.constantFrom(64, 129, 256, 4_097, 100_000, 140_000).map((length) => Buffer.alloc(length, "x"));
  return fc.oneof(
    { weight: 12, arbitrary: tame.map((text) => Buffer.from(text)) },
    { weight: 3, arbitrary: wild.map((text) => Buffer.from(text)) },
    { weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => Buffer.from(text)) },
    { weight: 1, arbitrary: broken },
    { weight: 1, arbitrary: long },
  );
}

function wrongKind(no: number): fc.Arbitrary<WireField> {
  return fc.oneof(
    integers().map((value) => ({ no, kind: "varint" as const, value })),
    fc.uint8Array({ maxLength: 16 }).map((bytes) => ({ no, kind: "bytes" as const, bytes: Buffer.from(bytes) })),
    fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => fixed(no, "fixed64", bytes)),
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => fixed(no, "fixed32", bytes)),
  );
}
