/** Changes to what was right: most ways to be wrong are near to it. */
import fc from "fast-check";

/** One change of bytes. `at` is a part of the length, from 0 to 1, so that a change fits every message. */
export interface Mutation {
  readonly what: "flip" | "cut" | "insert" | "remove" | "repeat" | "swap" | "set";
  readonly at: number;
  readonly size: number;
  readonly byte: number;
}

export function mutations(): fc.Arbitrary<readonly Mutation[]> {
  const one = fc.record({
    what: fc.constantFrom("flip", "cut", "insert", "remove", "repeat", "swap", "set" as const),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    size: fc.integer({ min: 1, max: 24 }),
    byte: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 })),
  });
  return fc.array(one, { minLength: 1, maxLength: 5 });
}

export function mutate(right: Buffer, changes: readonly Mutation[]): Buffer {
  return changes.reduce(change, right);
}

function change(bytes: Buffer, { what, at, size, byte }: Mutation): Buffer {
  if (bytes.length === 0) return Buffer.from([byte]);
  const start = Math.min(bytes.length - 1, Math.floor(at * bytes.length));
  const end = Math.min(bytes.length, start + size);
  const [before, piece, after] = [bytes.subarray(0, start), bytes.subarray(start, end), bytes.subarray(end)];
  switch (what) {
    case "flip":
      return Buffer.concat([before, piece.map((each) => each ^ (1 << (byte & 7))), after]);
    case "set":
      return Buffer.concat([before, Buffer.alloc(piece.length, byte), after]);
    case "cut":
      return Buffer.from(before);
    case "insert":
      return Buffer.concat([before, Buffer.alloc(size, byte), piece, after]);
    case "remove":
      return Buffer.concat([before, after]);
    case "repeat":
      return Buffer.concat([before, piece, piece, after]);
    case "swap":
      return Buffer.concat([after, piece, before]);
  }
}
