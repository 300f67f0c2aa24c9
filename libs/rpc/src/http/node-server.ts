/** Node's HTTP server with bounds on all that a peer can hold: header size and time, request time, connections. */
import { once } from "node:events";
import {
  createServer as createPlainServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  errorCode,
  formatHostPort,
  type HostPort,
  type Ports,
  silentLogger,
  sleep,
  type Timers,
} from "@headroom/runtime";
import { ServerCertificates, type ServerPem } from "../auth/server-certificates.ts";
import type { ServerTls } from "../auth/tls.ts";
import { CallBound } from "../server/call-bound.ts";
import { type ConnectionGate, peerKey } from "../server/connection-gate.ts";
import { PortInUseError } from "../server/port-in-use.ts";
import { UnreadAnswers } from "./unread-answers.ts";

/** A caller that sends its header or body slower than this is after something else than an answer. */
const NODE_OPTIONS: ServerOptions = {
  requestTimeout: 60_000,
  // Longer than the 60 s of common proxies, so that it is the proxy that closes.
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16 * 1024,
  requireHostHeader: false, // the guard refuses it, with an explanation
  insecureHTTPParser: false,
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
  noDelay: true,
};

export interface NodeServerOptions {
  readonly tls: ServerTls | undefined;
  readonly ports: Pick<Ports, "clock" | "timers">;
  readonly gate: ConnectionGate;
  readonly headersTimeoutMs: number;
  /** Requests at once of callers that are not known. */
  readonly maxUnknown: number;
  /** Whether the caller shows a credential that is right. */
  readonly isKnown: (request: IncomingMessage) => boolean;
  readonly handle: RequestListener;
}

/** Rejects with TlsFileError. */
export async function makeNodeServer(options: NodeServerOptions): Promise<Server> {
  const { tls, ports, gate, headersTimeoutMs } = options;
  const endConnection = (peer: string): void => gate.end(peer, "calls that do not end");
  const unknown = new CallBound({ max: options.maxUnknown, endConnection });
  const answers = new UnreadAnswers({
    ports,
    endConnection: (socket) => gate.end(peerOf(socket), "answer not read"),
  });
  const handle: RequestListener = (request, response) => {
    const peer = peerOf(request.socket);
    const leave = options.isKnown(request) ? (): void => undefined : unknown.take(peer);
    if (leave === null) return void request.socket.destroy();
    response.once("close", leave).once("close", gate.request(peer));
    answers.watch(response);
    options.handle(request, response);
  };
  const bounds: ServerOptions = {
    ...NODE_OPTIONS,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 4),
  };
  const server =
    tls === undefined ? createPlainServer(bounds, handle) : await makeTlsServer(tls, ports, bounds, handle);
  // Before Node's own listener: what is refused is not read.
  server.prependListener("connection", (socket: Socket) => {
    if (!gate.admit(socket)) return;
    const peer = peerOf(socket);
    // Of requests that are pipelined behind another one, Node says no end.
    socket.once("close", () => unknown.forget(peer));
  });
  // One connection may not ask without end while others wait for one.
  server.maxRequestsPerSocket = 10_000;
  server.on("clientError", refuseMalformed);
  server.on("tlsClientError", (_error: Error, socket: Duplex) => socket.destroy());
  server.on("connect", (_request, socket: Duplex) => socket.destroy());
  server.on("upgrade", (_request, socket: Duplex) => socket.destroy());
  return server;
}

const peerOf = ({ remoteAddress = "", remotePort }: Socket): string => peerKey(remoteAddress, remotePort);

const STATUS_OF_ERROR: ReadonlyMap<string, string> = new Map([
  ["HPE_HEADER_OVERFLOW", "431 Request Header Fields Too Large"],
  ["ERR_HTTP_REQUEST_TIMEOUT", "408 Request Timeout"],
]);

/** What is no HTTP gets a short answer where it can still be written, and the connection ends. */
function refuseMalformed(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUS_OF_ERROR.get(error.code ?? "") ?? "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
}

async function makeTlsServer(
  tls: ServerTls,
  ports: NodeServerOptions["ports"],
  bounds: ServerOptions,
  handle: RequestListener,
): Promise<Server> {
  // gRPC has the same files, and tells of them.
  const certificates = await ServerCertificates.open({ tls, ports, logger: silentLogger });
  const { pem } = certificates;
  const made = { ...bounds, ...contextOf(pem), requestCert: pem.clientCa !== null, handshakeTimeout: 10_000 };
  const server = createTlsServer(made, handle);
  server.once("listening", () => certificates.watch((renewed) => server.setSecureContext(contextOf(renewed))));
  server.once("close", () => certificates.close());
  return server;
}

function contextOf({ cert, key, clientCa }: ServerPem) {
  return { cert, key, ...(clientCa !== null && { ca: clientCa }) };
}

export interface ListenHttpOptions {
  /** Of the server, for errors. */
  readonly name: string;
  readonly address: HostPort;
  /** How to change it, for errors. */
  readonly setting: string | undefined;
}

/** Answers where it really listens. Rejects with PortInUseError, or an error that names the address. */
export async function listenHttp(server: Server, { name, address, setting }: ListenHttpOptions): Promise<HostPort> {
  const text = formatHostPort(address);
  try {
    const listening = once(server, "listening");
    server.listen({ host: address.host, port: address.port });
    await listening;
  } catch (error) {
    const code = errorCode(error);
    if (code === "EADDRINUSE") throw new PortInUseError(name, text, setting, error);
    const why = error instanceof Error ? error.message : String(error);
    const change = setting === undefined ? "" : `; choose another address with ${setting}`;
    throw new Error(`${name} cannot listen on ${text}: ${why}${change}`, { cause: error });
  }
  const bound = server.address();
  // A string is the path of a Unix socket, on which nothing here listens.
  return { host: address.host, port: typeof bound === "object" && bound !== null ? bound.port : address.port };
}

export interface StopHttpOptions {
  readonly timers: Timers;
  readonly drainMs: number;
  /** Ends the answers that would go on without end. */
  readonly endStreams: () => void;
}

/** Takes no more connections, gives answers in progress `drainMs` to end, then cuts what is left. */
export async function stopHttp(server: Server, { timers, drainMs, endStreams }: StopHttpOptions): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  endStreams();
  const cut = new AbortController();
  const forced = sleep(timers, drainMs, cut.signal).then(
    () => server.closeAllConnections(),
    () => undefined,
  );
  await closed;
  cut.abort();
  await forced;
}
