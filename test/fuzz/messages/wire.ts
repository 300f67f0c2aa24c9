/** Protobuf's wire format, without any of its rules: what a field holds need not be what its type says. */

/** One field as it stands on the wire. */
export type WireField =
  | { readonly no: number; readonly kind: "varint"; readonly value: bigint }
  | { readonly no: number; readonly kind: "fixed64" | "fixed32"; readonly bytes: Buffer }
  | { readonly no: number; readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly no: number; readonly kind: "message"; readonly fields: readonly WireField[] }
  /** Repeated `times` times: a list of 10,000 is one field here, so that it can be shrunk. */
  | { readonly no: number; readonly kind: "repeat"; readonly field: WireField; readonly times: number };

const wireTypes = { varint: 0, fixed64: 1, bytes: 2, message: 2, fixed32: 5 } as const;

export function encodeFields(fields: readonly WireField[]): Buffer {
  return Buffer.concat(fields.map(encodeField));
}

function encodeField(field: WireField): Buffer {
  if (field.kind === "repeat") {
    const once = encodeField(field.field);
    return Buffer.concat(Array.from({ length: field.times }, () => once));
  }
  const tag = varint((BigInt(field.no) << 3n) | BigInt(wireTypes[field.kind]));
  switch (field.kind) {
    case "varint":
      return Buffer.concat([tag, varint(field.value)]);
    case "fixed64":
    case "fixed32":
      return Buffer.concat([tag, field.bytes]);
    case "bytes":
      return Buffer.concat([tag, varint(BigInt(field.bytes.length)), field.bytes]);
    case "message": {
      const inside = encodeFields(field.fields);
      return Buffer.concat([tag, varint(BigInt(inside.length)), inside]);
    }
  }
}

/** As protobuf writes integers; a negative one takes ten bytes. */
export function varint(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, value);
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

export function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

/** Groups within groups, which nobody uses and every decoder has to step over. */
export function nestedGroups(no: number, depth: number): Buffer {
  const open = varint((BigInt(no) << 3n) | 3n);
  const close = varint((BigInt(no) << 3n) | 4n);
  return Buffer.concat([...Array.from({ length: depth }, () => open), ...Array.from({ length: depth }, () => close)]);
}
