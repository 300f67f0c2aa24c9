import type { Server } from "@grpc/grpc-js";

interface GoneOrNot {
  readonly destroyed: boolean;
  readonly closed: boolean;
}

type StreamHandler = (interceptors: unknown, stream: GoneOrNot, headers: unknown) => void;

/** Where grpc-js (1.14) takes a new stream; the first where channelz is off. */
const handlers = ["_streamHandler", "_channelzHandler"] as const;

/**
 * A call may be reset before grpc-js hears of it: what was read ahead (first-bytes.ts) is taken in one go. If it then names a method that is not there, or no content type of gRPC, grpc-js answers on
 * the stream that is gone, which throws where nobody catches it: two frames of anybody would end the process. Throws when grpc-js has changed,
 * so that the next version is looked at again.
 */
export function ignoreGoneStreams(server: Server): void {
  for (const name of handlers) {
    const original: unknown = Reflect.get(server, name);
    if (typeof original !== "function") throw new TypeError(`grpc-js has no ${name} any more; see ignoreGoneStreams`);
    const guarded: StreamHandler = (interceptors, stream, headers) => {
      if (!stream.destroyed && !stream.closed) original.call(server, interceptors, stream, headers);
    };
    Reflect.set(server, name, guarded);
  }
}
