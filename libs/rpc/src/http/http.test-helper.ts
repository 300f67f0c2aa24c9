import { once } from "node:events";
import { request as plainRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { wire } from "@headroom/contracts";
import { formatHostPort, silentLogger, systemPorts, type HostPort, type Logger } from "@headroom/runtime";
import { afterEach } from "vitest";
import { createTokenAuth } from "../auth/token-auth.ts";
import type { Implementation, ServiceDefinition } from "../definition.ts";
import { unimplemented } from "../errors.ts";
import type { MapError } from "../pipeline/map-error.ts";
import { bindService } from "../server/bind-service.ts";
import type { MethodTable } from "../server/method-table.ts";
import { createRpcServer } from "../server/rpc-server.ts";
import type { HttpServer, HttpServerOptions } from "./http-server-options.ts";
import { createHttpServer } from "./http-server.ts";

export const token = "test-token-0123456789abcdef";
export const agentId = "0b5c9c9e-6a3b-4b47-8d5f-2d5a2c9d1f00";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Runs after the test, last registered first. */
export function onTestEnd(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

export interface TestHandlers {
  readonly capacity?: Partial<Implementation<typeof wire.CapacityServiceService>>;
  readonly fleet?: Partial<Implementation<typeof wire.FleetServiceService>>;
  readonly plan?: Partial<Implementation<typeof wire.PlanServiceService>>;
  readonly queue?: Partial<Implementation<typeof wire.PauseQueueServiceService>>;
}

/** Every method that a test does not give answers UNIMPLEMENTED. */
function service<D extends ServiceDefinition>(definition: D, handlers: Partial<Implementation<D>>) {
  const all = Object.fromEntries(
    Object.entries(definition).map(([name, { responseStream }]) => [
      name,
      responseStream
        ? async function* () {
            yield await Promise.reject(unimplemented(name));
          }
        : () => Promise.reject(unimplemented(name)),
    ]),
  );
  // Each method of the definition has a handler of its kind by now.
  return bindService(definition, { ...all, ...handlers } as unknown as Implementation<D>);
}

/** The real pipeline around test handlers; its gRPC side is not started. */
export function methodTable(handlers: TestHandlers, logger: Logger = silentLogger, mapError?: MapError): MethodTable {
  return createRpcServer({
    name: "test",
    ports: systemPorts,
    logger,
    listen: { grpc: "127.0.0.1:0" },
    services: [
      service(wire.CapacityServiceService, handlers.capacity ?? {}),
      service(wire.FleetServiceService, handlers.fleet ?? {}),
      service(wire.PlanServiceService, handlers.plan ?? {}),
      service(wire.PauseQueueServiceService, handlers.queue ?? {}),
    ],
    auth: createTokenAuth({ token, tokenFile: "/data/token" }),
    ...(mapError === undefined ? {} : { mapError }),
  }).methods;
}

/** On a free port of loopback, not started. */
export function makeHttpServer(handlers: TestHandlers = {}, options: Partial<HttpServerOptions> = {}): HttpServer {
  const server = createHttpServer({
    name: "registry",
    listen: { http: "127.0.0.1:0" },
    methods: methodTable(handlers),
    auth: createTokenAuth({ token, tokenFile: "/data/token" }),
    logger: silentLogger,
    ports: systemPorts,
    ...options,
  });
  onTestEnd(() => server.stop());
  return server;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Of the body; throws where it is no JSON. */
  readonly json: () => Record<string, unknown>;
  /** Of an error's body. */
  readonly error: () => Record<string, unknown>;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

/** A started server and how to ask it. */
export interface Started {
  readonly server: HttpServer;
  readonly address: HostPort;
  readonly ask: (path: string, options?: AskOptions) => Promise<Answer>;
  /** POST of JSON with the token. */
  readonly post: (path: string, body: unknown, headers?: Record<string, string>) => Promise<Answer>;
  /** The answer as it comes, for streams. */
  readonly open: (path: string, options?: AskOptions) => Promise<IncomingMessage>;
  /** A bare connection. */
  readonly connect: () => Promise<Socket>;
}

export async function startHttp(
  handlers: TestHandlers = {},
  options: Partial<HttpServerOptions> = {},
): Promise<Started> {
  const server = makeHttpServer(handlers, options);
  await server.start();
  const { address } = server;
  if (address === null) throw new Error("the server has started without an address");
  const open = (path: string, options: AskOptions = {}): Promise<IncomingMessage> => {
    const { host, port } = address;
    const { method = "GET", headers = {}, body } = options;
    const request = plainRequest({ host, port, path, method, headers, agent: false });
    onTestEnd(() => request.destroy());
    request.end(body);
    return once(request, "response").then(([response]) => response as IncomingMessage);
  };
  const ask = async (path: string, options?: AskOptions): Promise<Answer> => readAnswer(await open(path, options));
  return {
    server,
    address,
    open,
    ask,
    post: (path, body, headers = {}) =>
      ask(path, { method: "POST", headers: { ...jsonHeaders, ...headers }, body: JSON.stringify(body) }),
    async connect() {
      const socket = connect({ host: address.host, port: address.port, allowHalfOpen: true });
      onTestEnd(() => socket.destroy());
      await once(socket, "connect");
      return socket;
    },
  };
}

export const withToken = { authorization: `Bearer ${token}` };
export const jsonHeaders = { ...withToken, "content-type": "application/json" };

export async function readAnswer(response: IncomingMessage): Promise<Answer> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) text += String(chunk);
  const json = (): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    json,
    error: () => json()["error"] as Record<string, unknown>,
  };
}

/** All that comes on a bare connection until it ends. */
export async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => (text += chunk));
  await Promise.race([once(socket, "end"), once(socket, "close")]);
  return text;
}

export function hostOf(address: HostPort): string {
  return formatHostPort(address);
}
