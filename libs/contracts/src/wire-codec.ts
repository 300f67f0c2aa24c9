import * as wire from "./gen/index.ts";

interface Codec {
  encode(message: object): { finish(): Uint8Array };
}

/** Encodes a `wire` object by the simple name of its message; the names are unique over the whole contract. */
export function encodeWire(name: string, message: object): Uint8Array {
  const codec: unknown = (wire as Readonly<Record<string, unknown>>)[name];
  if (!isCodec(codec)) throw new TypeError(`no wire type is called ${name}`);
  return codec.encode(message).finish();
}

function isCodec(value: unknown): value is Codec {
  return typeof value === "object" && value !== null && "encode" in value && typeof value.encode === "function";
}
