import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { loadFileDescriptorSetFromBuffer, type MessageTypeDefinition } from "@grpc/proto-loader";
import { descriptorRegistry, descriptorSetBytes, wire } from "@headroom/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

// R-SHAPE-2: what ts-proto's generated code writes is read by proto-loader, which knows only the descriptor set, field by field under the
// names of the .proto; and back again without loss.

interface TsProtoCodec {
  encode(message: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
  fromPartial(object: unknown): unknown;
}

type Dynamic = MessageTypeDefinition<object, object>;

const dynamicTypes = loadFileDescriptorSetFromBuffer(Buffer.from(descriptorSetBytes()), {
  keepCase: true,
  longs: Number,
});

function codecOf(type: DescMessage): TsProtoCodec {
  // The door to the generated code names types without their package; each is there once, or the test for doubles below fails.
  return (wire as unknown as Record<string, TsProtoCodec>)[type.name] as TsProtoCodec;
}

const ourMessages = [...descriptorRegistry()].filter(
  (type): type is DescMessage =>
    type.kind === "message" && type.typeName.startsWith("headroom.") && type.parent === undefined,
);

// ts-proto gives 64-bit numbers as JavaScript numbers.
const safeInteger = fc.maxSafeInteger();
const unsignedSafeInteger = fc.maxSafeNat();

function scalarValue(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.DOUBLE:
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case ScalarType.FLOAT:
      return fc.float({ noNaN: true, noDefaultInfinity: true });
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return safeInteger;
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return unsignedSafeInteger;
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return fc.integer();
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.nat();
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.STRING:
      return fc.string({ unit: "grapheme", maxLength: 12 });
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes));
  }
}

const enumValue = (type: DescEnum): fc.Arbitrary<number> =>
  fc.constantFrom(...type.values.map((value) => value.number));

/** A single value of a field, of the element for lists and of the value for maps. */
function elementValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return messageValue(field.message, depth - 1);
  if (field.enum !== undefined) return enumValue(field.enum);
  return scalarValue(field.scalar ?? ScalarType.STRING);
}

function fieldValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const element = elementValue(field, depth);
  if (field.fieldKind === "list") return fc.array(element, { maxLength: depth > 0 ? 3 : 0 });
  if (field.fieldKind === "map")
    return fc.dictionary(
      fc.string({ maxLength: 5 }).filter((key) => key !== "__proto__"),
      element,
      { maxKeys: 3, noNullPrototype: true },
    );
  if (field.fieldKind === "message" && depth <= 0) return fc.constant(undefined);
  return field.fieldKind === "message" || field.proto.proto3Optional ? fc.option(element, { nil: undefined }) : element;
}

/** A message as ts-proto's types have it: camelCase names, a oneof as `{ $case, value }`. */
function messageValue(type: DescMessage, depth: number): fc.Arbitrary<object> {
  if (depth < 0) return fc.constant({});
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fields) {
    if (field.oneof === undefined) members[field.jsonName] = fieldValue(field, depth);
  }
  for (const oneof of type.oneofs) {
    const cases = oneof.fields.map((field) =>
      elementValue(field, depth).map((value) => ({ $case: field.jsonName, value })),
    );
    members[oneof.name] = fc.option(fc.oneof(...cases), { nil: undefined });
  }
  return fc.record(members);
}

/** protobufjs keeps -0 apart from 0 as it should; ts-proto leaves both out as the default. */
const withoutNegativeZero = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

describe("R-SHAPE-2: the generated code and the descriptor set speak one wire", () => {
  it("the generated code has every message, each name once", () => {
    expect(ourMessages.length).toBeGreaterThan(50);
    expect(new Set(ourMessages.map((type) => type.name)).size).toBe(ourMessages.length);
    for (const type of ourMessages) expect(codecOf(type), type.typeName).toHaveProperty("encode");
  });

  for (const type of ourMessages) {
    it(`${type.typeName}: ts-proto to proto-loader and back`, () => {
      const codec = codecOf(type);
      const dynamic = dynamicTypes[type.typeName] as Dynamic;
      fc.assert(
        fc.property(messageValue(type, 3), (value) => {
          const message = codec.fromPartial(value);
          const bytes = Buffer.from(codec.encode(message).finish());
          const read = dynamic.deserialize(bytes);
          expect(withoutNegativeZero(codec.decode(dynamic.serialize(read)))).toEqual(
            withoutNegativeZero(codec.decode(bytes)),
          );
          const names = new Set(type.fields.map((field) => field.name));
          expect(Object.keys(read).filter((name) => !names.has(name))).toEqual([]);
        }),
        { numRuns: 25 },
      );
    });
  }
});
