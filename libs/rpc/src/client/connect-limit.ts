/**
 * grpc-js gives up no attempt to connect. A peer that takes the connection and then never says a word of HTTP/2 (its machine froze or lost its power
 * just then, or a way in between forgot it) is waited for for ever: nothing is sent any more, no call without a deadline ends, and no keepalive asks,
 * for that begins with the connection (https://github.com/grpc/grpc-node/issues/2785). Other implementations end the attempt and try again
 * (https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md), and so does this.
 */
import type { Socket } from "node:net";
import type { SecureConnector } from "@grpc/grpc-js/build/src/channel-credentials.js";
import { Http2SubchannelConnector } from "@grpc/grpc-js/build/src/transport.js";
import type { Timers } from "@headroom/runtime";
import { tellCode } from "./tls-failure.ts";

/** The option of a channel that says so; channels without it are left alone. */
export const connectLimitOption = "headroom.connect_limit";

export interface ConnectLimit {
  /** The longest that one attempt to connect may take, name resolution not counted. */
  readonly ms: number;
  readonly timers: Timers;
}

type Connect = Http2SubchannelConnector["connect"];

const connectUnlimited: Connect = Reflect.get(Http2SubchannelConnector.prototype, "connect");

/** From now on, for all channels with that option in this process. Idempotent. */
export function limitConnecting(): void {
  Http2SubchannelConnector.prototype.connect = connectWithinLimit;
}

async function connectWithinLimit(
  this: Http2SubchannelConnector,
  ...[address, secureConnector, options]: Parameters<Connect>
): ReturnType<Connect> {
  const limit = options[connectLimitOption] as ConnectLimit | undefined;
  if (limit === undefined) return connectUnlimited.call(this, address, secureConnector, options);
  const attempt = new Attempt(secureConnector);
  const connecting = connectUnlimited.call(this, address, attempt.connector, options);
  const ended = new Promise<never>((_, reject) => {
    const giveUp = (): void => {
      reject(new Error(`what is there has not answered within ${limit.ms / 1_000} s`));
      attempt.end();
    };
    const timer = limit.timers.after(limit.ms, giveUp, { keepAlive: false });
    const clear = (): void => timer.cancel();
    connecting.then(clear, clear);
  });
  return Promise.race([connecting, ended]);
}

/** Knows the socket of an attempt, whose end ends it wherever it is: in the handshake of TLS, or waiting for the first word of HTTP/2. */
class Attempt {
  #socket: Socket | undefined;
  #hasEnded = false;
  readonly connector: SecureConnector;

  constructor(inner: SecureConnector) {
    this.connector = {
      connect: (socket) => {
        this.#socket = socket;
        // The connection itself came too late.
        if (this.#hasEnded) socket.destroy();
        return inner.connect(socket).catch(tellCode);
      },
      waitForReady: () => inner.waitForReady(),
      getCallCredentials: () => inner.getCallCredentials(),
      destroy: () => inner.destroy(),
    };
  }

  end(): void {
    this.#hasEnded = true;
    this.#socket?.destroy();
  }
}
