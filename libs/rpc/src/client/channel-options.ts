import type { HostPort, Logger, Ports } from "@headroom/runtime";
import type { ClientTls } from "../auth/tls.ts";
import type { LeftAddress } from "./any-address.ts";

export interface ChannelOptions {
  /** "127.0.0.1:7401" or its parts. */
  readonly address: string | HostPort;
  readonly ports: Ports;
  readonly logger: Logger;
  /** Sent as a bearer token with every call. */
  readonly token?: string;
  /** Absent: plaintext. */
  readonly tls?: ClientTls;
  /** "headroom-cli/0.1.0" */
  readonly userAgent?: string;
  /** What is missing when nothing answers, for errors: `start it with "headroom up"`. */
  readonly howToStart?: string;
  /** Of the channels before to the same name, which this one takes the place of. Absent: it is the first. */
  readonly left?: LeftAddress;
  /**
   * How often, while calls are open, the peer is asked whether it is there, and how long its answer may take. Default 30 s and 10 s. An attempt to
   * connect is given up after the sum of both, and another one made.
   */
  readonly keepalive?: { readonly everyMs: number; readonly answerWithinMs: number };
  /** Longest message in and out. Default 16 MiB. */
  readonly maxMessageBytes?: number;
}
