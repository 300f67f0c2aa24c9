/** gRPC by hand on node:http2: nothing between the test and the frames that would mend what is wrong. */
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from "node:http2";

export interface RawCall {
  /** `/package.Service/Method`, or anything else. */
  readonly path: string;
  /** All of the request's DATA, frames of gRPC included. */
  readonly body: Buffer;
  /** Beside or in place of what a gRPC client sends; undefined takes one away. */
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>;
  /** After the body our side ends. Default true. */
  readonly ends?: boolean;
  /** How long to listen; a stream that lives is left then. */
  readonly listenMs: number;
}

export interface RawAnswer {
  /** Of the HTTP response; null: none came. */
  readonly httpStatus: number | null;
  /** grpc-status; null: none came in time. */
  readonly grpcStatus: number | null;
  readonly message: string;
  /** grpc-status-details-bin, as it came. */
  readonly details: string | null;
  /** Bytes of answers. */
  readonly bytes: number;
  /** The stream or the connection was reset: its HTTP/2 error code, or the error's. */
  readonly reset: string | null;
  /** We left because the time was over. */
  readonly left: boolean;
}

/** A connection to a server that comes again when the server has ended it. */
export class H2Client {
  readonly #address: string;
  #session: ClientHttp2Session | undefined;
  /** Connections that were opened. */
  connections = 0;

  constructor(address: string) {
    this.#address = address;
  }

  #connected(): ClientHttp2Session {
    const known = this.#session;
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const session = connect(`http://${this.#address}`);
    session.on("error", () => undefined);
    this.connections += 1;
    this.#session = session;
    return session;
  }

  call(call: RawCall): Promise<RawAnswer> {
    return new Promise((resolve) => {
      const answer = {
        httpStatus: null,
        grpcStatus: null,
        message: "",
        details: null,
        bytes: 0,
        reset: null,
        left: false,
      };
      const seen: { -readonly [K in keyof RawAnswer]: RawAnswer[K] } = answer;
      try {
        const stream = this.#connected().request(headersOf(call), { endStream: false });
        const timer = setTimeout(() => {
          seen.left = true;
          stream.close(constants.NGHTTP2_CANCEL);
        }, call.listenMs);
        stream.on("response", (headers) => takeHeaders(seen, headers));
        stream.on("trailers", (headers) => takeHeaders(seen, headers));
        stream.on("data", (chunk: Buffer) => (seen.bytes += chunk.length));
        stream.on("error", (error: NodeJS.ErrnoException) => (seen.reset = error.code ?? error.message));
        stream.on("close", () => {
          clearTimeout(timer);
          if (stream.rstCode !== 0 && !seen.left) seen.reset ??= String(stream.rstCode);
          resolve(seen);
        });
        if (call.ends === false) stream.write(call.body);
        else stream.end(call.body);
      } catch (error) {
        resolve({ ...seen, reset: error instanceof Error ? error.message : String(error) });
      }
    });
  }

  close(): void {
    this.#session?.destroy();
  }
}

function headersOf({ path, headers = {} }: RawCall): Record<string, string | string[]> {
  const all = {
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  };
  const kept = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return Object.fromEntries(kept);
}

function takeHeaders(seen: { -readonly [K in keyof RawAnswer]: RawAnswer[K] }, headers: IncomingHttpHeaders): void {
  const status = headers[":status"];
  if (typeof status === "number") seen.httpStatus = status;
  const code = headers["grpc-status"];
  if (typeof code === "string") seen.grpcStatus = Number(code);
  const message = headers["grpc-message"];
  if (typeof message === "string") seen.message = unescaped(message);
  const details = headers["grpc-status-details-bin"];
  if (typeof details === "string") seen.details = details;
}

function unescaped(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

/** One message of gRPC with its prefix: compressed flag, length. `claims` is a length that is not its own. */
export function framed(message: Buffer, { compressed = 0, claims = message.length } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed, 0);
  prefix.writeUInt32BE(claims, 1);
  return Buffer.concat([prefix, message]);
}
