/** HTTP/2 by the byte: what node:http2 would never send. */
import { connect, type Socket } from "node:net";

export const preface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** One frame; `claims` is a length that is not its own. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = none,
  claims = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(claims & 0xff_ff_ff, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

const none = Buffer.alloc(0);

export const settings: Buffer = frame(frameType.settings, 0, 0);

/** Literal headers without indexing and without Huffman: what HPACK takes from anybody. */
export function headerBlock(headers: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.from([0]), hpackText(name), hpackText(value)]));
}

function hpackText(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length: number[] = [127];
  let rest = bytes.length - 127;
  while (rest >= 128) {
    length.push((rest & 127) | 128);
    rest >>= 7;
  }
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

export function grpcHeaders(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return headerBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...more,
  ]);
}

/** What became of a connection on which bytes were written. */
export interface RawOutcome {
  readonly received: number;
  /** The peer ended it within the time. */
  readonly ended: boolean;
}

/** Writes the pieces one after the other, as fast as they are taken, then listens until the peer ends it or the time is over. */
export async function writeRaw(
  address: string,
  pieces: Iterable<Buffer>,
  {
    listenMs,
    gapMs = 0,
    reads = true,
  }: { readonly listenMs: number; readonly gapMs?: number; readonly reads?: boolean },
): Promise<RawOutcome> {
  const [host, port] = address.split(":");
  const socket = connect({ host: host!, port: Number(port) });
  let [received, ended] = [0, false];
  const gone = new Promise<void>((resolve) => {
    socket.on("error", () => undefined);
    socket.on("close", () => {
      ended = true;
      resolve();
    });
  });
  if (reads) socket.on("data", (chunk: Buffer) => (received += chunk.length));
  await new Promise<void>((resolve) => {
    socket.once("connect", resolve);
    socket.once("close", () => resolve());
  });
  for (const piece of pieces) {
    if (ended || !socket.writable) break;
    if (!socket.write(piece)) await drained(socket);
    if (gapMs > 0) await wait(gapMs);
  }
  await Promise.race([gone, wait(listenMs)]);
  const outcome = { received, ended };
  socket.destroy();
  return outcome;
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      socket.off("drain", go).off("close", go);
      resolve();
    };
    socket.on("drain", go).on("close", go);
    setTimeout(go, 5_000).unref();
  });
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
