import { Client, type ChannelOptions as GrpcChannelOptions } from "@grpc/grpc-js";
import { formatHostPort, type Logger, type Ports } from "@headroom/runtime";
import { isLoopbackHost } from "../auth/bind-address.ts";
import { channelCredentials, type ClientTls } from "../auth/tls.ts";
import type { HeadroomError } from "../errors.ts";
import type { DuplexStream } from "../call.ts";
import type { CallOptions } from "../definition.ts";
import { quietGrpc } from "../quiet-grpc.ts";
import { parseAddress } from "../server/listen.ts";
import { callDuplex } from "./call-duplex.ts";
import { callServerStream } from "./call-server-stream.ts";
import { callUnary } from "./call-unary.ts";
import { addressChoiceOption, LeftAddress, registerAnyAddress } from "./any-address.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { channelClosedError } from "./client-error.ts";
import { type ConnectLimit, connectLimitOption, limitConnecting } from "./connect-limit.ts";
import type { AnyMethod } from "./outgoing-call.ts";
import { serviceConfig } from "./service-config.ts";

/** A client's way to one server; clients of any service share it. Every failure of a call is a HeadroomError. */
export interface Channel {
  /** "127.0.0.1:7401" */
  readonly address: string;
  unary(method: AnyMethod, request: unknown, options?: CallOptions): Promise<unknown>;
  /** Each loop over the result is a call of its own, begun by the loop and cancelled when it is left. */
  serverStream(method: AnyMethod, request: unknown, options?: CallOptions): AsyncIterable<unknown>;
  /** Never throws: a stream that cannot be opened is closed with the error, after the caller has set its handlers. */
  duplex(method: AnyMethod, options?: CallOptions): DuplexStream<unknown, unknown>;
  /**
   * Calls from now on go over a new connection, to whichever server it leads to: behind a balancer to another one in time, and of a name of several
   * addresses to another one where it can be reached. Calls in progress end where they are.
   */
  reconnect(): void;
  /** Ends all calls in progress (CHANNEL_CLOSED) and the connection. Idempotent. */
  close(): void;
}

/** One connection of grpc-js, made when it is first needed and again when it is lost; for the calls of this folder. */
export interface GrpcConnection {
  /** "127.0.0.1:7401" */
  readonly address: string;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly token: string | undefined;
  readonly howToStart: string | undefined;
  /** undefined: plaintext. */
  readonly tls: ClientTls | undefined;
  /** Throws HeadroomError CHANNEL_CLOSED after `close`. */
  grpc(): Client;
  /** Registers a call in progress, to be ended with an error by `close`. Answers how to unregister. */
  track(abort: (error: HeadroomError) => void): () => void;
}

const defaultMaxMessageBytes = 16 * 1_048_576;
/** Rare enough for the agents of a large fleet. */
const defaultKeepalive = { everyMs: 30_000, answerWithinMs: 10_000 };

/** Throws TypeError for an address that is none, TlsFileError for files that cannot be read. Connects with the first call. */
export function createChannel(options: ChannelOptions): Channel {
  quietGrpc();
  limitConnecting();
  registerAnyAddress();
  const hostPort = parseAddress(options.address);
  const address = formatHostPort(hostPort);
  const left = options.left ?? new LeftAddress();
  const connect = (): Client => {
    const choice = left.choice(options.ports.random);
    const settings = { ...grpcOptions(options, isLoopbackHost(hostPort.host)), [addressChoiceOption]: choice };
    return new Client(address, channelCredentials(options.tls), settings);
  };
  let client = connect();
  const calls = new Set<(error: HeadroomError) => void>();
  let isClosed = false;
  const connection: GrpcConnection = {
    address,
    ports: options.ports,
    logger: options.logger,
    token: options.token,
    howToStart: options.howToStart,
    tls: options.tls,
    grpc() {
      if (isClosed) throw channelClosedError(address);
      return client;
    },
    track(abort) {
      calls.add(abort);
      return () => void calls.delete(abort);
    },
  };
  return {
    address,
    unary: (method, request, callOptions) => callUnary(connection, method, request, callOptions),
    serverStream: (method, request, callOptions) => callServerStream(connection, method, request, callOptions),
    duplex: (method, callOptions) => callDuplex(connection, method, callOptions),
    reconnect() {
      if (isClosed) return;
      const before = client;
      client = connect();
      before.close();
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      for (const abort of [...calls]) abort(channelClosedError(address));
      client.close();
    },
  };
}

function grpcOptions(options: ChannelOptions, isLoopback: boolean): GrpcChannelOptions {
  const { maxMessageBytes = defaultMaxMessageBytes, keepalive = defaultKeepalive } = options;
  // As long as a connection that has fallen silent is believed.
  const connectLimit: ConnectLimit = {
    ms: keepalive.everyMs + keepalive.answerWithinMs,
    timers: options.ports.timers,
  };
  return {
    "grpc.service_config": serviceConfig(),
    // Else a TXT record in DNS could change how we retry.
    "grpc.service_config_disable_resolution": 1,
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.enable_channelz": 0,
    "grpc.keepalive_time_ms": keepalive.everyMs,
    "grpc.keepalive_timeout_ms": keepalive.answerWithinMs,
    [connectLimitOption]: connectLimit,
    // The default of 120 s would keep an agent away for two minutes after its server is back.
    "grpc.max_reconnect_backoff_ms": 30_000,
    // Channels of one process to one address stay apart, so that closing one closes its connection.
    "grpc.use_local_subchannel_pool": 1,
    // A proxy from the environment cannot reach our loopback.
    ...(isLoopback ? { "grpc.enable_http_proxy": 0 } : {}),
    ...(options.userAgent === undefined ? {} : { "grpc.primary_user_agent": options.userAgent }),
    ...(options.tls?.serverName === undefined ? {} : { "grpc.ssl_target_name_override": options.tls.serverName }),
  };
}
