import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { methodContracts, descriptorRegistry, wire } from "@headroom/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileQuickCheck } from "./quick-check.ts";
import { createMessageCheck } from "./validator.ts";

const ids = ["0b5c9c9e-6a3b-4b47-8d5f-2d5a2c9d1f00", "0B5C9C9E-6A3B-4B47-8D5F-2D5A2C9D1F00"];
const texts = fc.oneof(
  fc.constantFrom("", "a", "zz", "x".repeat(63), "x".repeat(64), "\u{1F600}".repeat(40), "x".repeat(5_000), ...ids),
  fc.string({ maxLength: 300, unit: "binary" }),
);
const integers = fc.constantFrom(0, 1, -1, 2, 64, 65, 1_000, 1_001, 4_097, 2 ** 31 - 1, 2 ** 50, 2 ** 50 + 1);
const doubles = fc.constantFrom(0, 1, 0.5, -1, 100, 100.5, 1_048_576, 1e300, Number.NaN, Infinity, -Infinity);

/** Anything that a message of this type may look like in ts-proto, near the borders of its rules. */
function anyMessage(type: DescMessage, depth = 4): fc.Arbitrary<object> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fields) if (field.oneof === undefined) fields[field.localName] = anyField(field, depth);
  for (const oneof of type.oneofs) {
    const cases = oneof.fields.map((field) =>
      anyValue(field, depth).map((value) => ({ $case: field.localName, value })),
    );
    fields[oneof.localName] = fc.option(fc.oneof(...cases), { nil: undefined });
  }
  return fc.record(fields);
}

function anyField(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const isOptional = field.fieldKind === "message" || field.proto.proto3Optional;
  return isOptional ? fc.option(anyValue(field, depth), { nil: undefined }) : anyValue(field, depth);
}

function anyValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return anyScalar(field.scalar);
    case "enum":
      return fc.constantFrom(0, 1, 2, 99);
    case "message":
      return depth === 0 ? fc.constant(undefined) : anyMessage(field.message, depth - 1);
    case "list":
      return fc.array(itemOf(field, depth), { maxLength: 3 });
    case "map":
      return fc.dictionary(texts, texts, { maxKeys: 3 });
  }
}

function itemOf(field: DescField & { fieldKind: "list" }, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return depth === 0 ? fc.constant({}) : anyMessage(field.message, depth - 1);
  return field.enum !== undefined ? fc.constantFrom(0, 1, 99) : anyScalar(field.scalar);
}

/** By the numbers of the descriptor: 1 double, 8 bool, 9 string, 12 bytes; the rest are integers. */
function anyScalar(scalar: number): fc.Arbitrary<unknown> {
  if (scalar === 1 || scalar === 2) return doubles;
  if (scalar === 8) return fc.boolean();
  if (scalar === 9) return texts;
  return scalar === 12 ? fc.constant(new Uint8Array()) : integers;
}

interface Codec {
  fromPartial(value: unknown): unknown;
  encode(message: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

const requestTypes = [...new Set([...methodContracts().values()].map(({ requestType }) => requestType))].filter(
  (name) => name.startsWith("headroom."),
);

describe("the quick check", () => {
  it("knows the rules of every request type", () => {
    expect(requestTypes.length).toBeGreaterThan(20);
    expect(requestTypes.filter((name) => compileQuickCheck(name) === null)).toEqual([]);
  });

  it.each(requestTypes)("what it calls valid, protovalidate calls valid: %s", (name) => {
    const type = descriptorRegistry().getMessage(name);
    if (type === undefined) throw new Error("no such type");
    const codec = (wire as unknown as Record<string, Codec>)[name.slice(name.lastIndexOf(".") + 1)]!;
    const isSurelyValid = compileQuickCheck(name)!;
    const validate = createMessageCheck(name);
    fc.assert(
      fc.property(anyMessage(type), (partial) => {
        let bytes: Uint8Array;
        let decoded: unknown;
        try {
          bytes = codec.encode(codec.fromPartial(partial)).finish();
          decoded = codec.decode(bytes);
        } catch {
          // ts-proto neither writes nor reads integers beyond 2^53.
          return;
        }
        if (isSurelyValid(decoded)) validate(bytes);
      }),
      { numRuns: 200 },
    );
  });

  it("calls a heartbeat with a sample valid, and doubts one that is not", () => {
    const isSurelyValid = compileQuickCheck("headroom.registry.v1.HeartbeatRequest")!;
    const beat = (seq: number, cpuLoad: number): unknown =>
      wire.HeartbeatRequest.decode(
        wire.HeartbeatRequest.encode(
          wire.HeartbeatRequest.fromPartial({
            message: {
              $case: "beat",
              value: {
                seq,
                attached: true,
                sample: {
                  sampledAt: { seconds: 1, nanos: 0 },
                  cpuMillicores: { total: 1, available: 1 },
                  cpuLoad,
                  cards: [{ cardId: "gpu-0", index: 0, model: "L4", vramMib: { total: 1, available: 1 } }],
                  attempts: [{ attemptId: ids[0]!, fence: 1 }],
                },
              },
            },
          }),
        ).finish(),
      );
    expect(isSurelyValid(beat(1, 50))).toBe(true);
    expect(isSurelyValid(beat(0, 50))).toBe(false);
    expect(isSurelyValid(beat(1, Number.NaN))).toBe(false);
    expect(isSurelyValid(wire.HeartbeatRequest.fromPartial({}))).toBe(false);
  });
});
