import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { descriptorRegistry } from "@headroom/contracts";
import { formatHostPort, lifecycle, type HostPort, type Logger } from "@headroom/runtime";
import type { AuthPolicy } from "../auth/auth-policy.ts";
import { checkBindAddress } from "../auth/bind-address.ts";
import { serverStoppingError } from "../pipeline/call-scope.ts";
import { ConnectionGate } from "../server/connection-gate.ts";
import { chooseRequestId } from "../pipeline/request-id.ts";
import { parseAddress } from "../server/listen.ts";
import { callMethod, type CallMethodOptions, type Exchange } from "./call-method.ts";
import { toHttpProblem } from "./http-problem.ts";
import type { HttpServer, HttpServerOptions } from "./http-server-options.ts";
import { listenHttp, makeNodeServer, stopHttp } from "./node-server.ts";
import { openApiDocument } from "./openapi.ts";
import { refuseForeign, type GuardOptions } from "./origin-guard.ts";
import { sendProblem } from "./respond.ts";
import { methodNotAllowed, Router, routesOf } from "./router.ts";
import { systemPages, type SystemPage } from "./system-pages.ts";

const DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024;
const DEFAULT_MAX_CONNECTIONS = 1_024;
const DEFAULT_HEADERS_TIMEOUT_MS = 10_000;
const DEFAULT_CALL_DEADLINE_MS = 30_000;
const DEFAULT_DRAIN_MS = 5_000;

/**
 * The REST face of a method table: routes from the google.api.http rules, and /metrics, /healthz, /readyz, /openapi.json beside them.
 * Start rejects with PortInUseError, InsecureBindError or TlsFileError. Throws TypeError for a rule that it does not support.
 */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const configured = parseAddress(options.listen.http);
  const face = new RestFace(options);
  let server: Server | undefined;
  let address: HostPort | null = null;
  let stopping = new AbortController();

  const managed = lifecycle({
    name: `${options.name} http`,
    async start() {
      checkBindAddress({
        host: configured.host,
        tls: options.tls !== undefined,
        token: options.auth.requiresCredential,
        allowPlaintext: options.allowPlaintext ?? false,
      });
      stopping = new AbortController();
      const { headersTimeoutMs = DEFAULT_HEADERS_TIMEOUT_MS, maxConnections = DEFAULT_MAX_CONNECTIONS } = options;
      const made = await makeNodeServer({
        tls: options.tls,
        ports: options.ports,
        gate: new ConnectionGate({
          name: `${options.name} HTTP`,
          timers: options.ports.timers,
          logger: options.logger,
          maxConnections,
          maxSilent: Math.ceil(maxConnections / 2),
          // Node's own bound goes first; this one also covers the handshake of TLS.
          firstRequestMs: 2 * headersTimeoutMs,
        }),
        headersTimeoutMs,
        maxUnknown: Math.ceil(maxConnections / 2),
        isKnown: (request) => showsCredential(request, options.auth),
        handle: (request, response) => {
          if (address !== null) face.serve(request, response, address, stopping.signal);
        },
      });
      address = await listenHttp(made, { name: options.name, address: configured, setting: options.listen.setting });
      server = made;
      options.logger.info({ address: formatHostPort(address) }, `${options.name} serves HTTP`);
    },
    async stop() {
      const stopped = server;
      server = undefined;
      if (stopped !== undefined) {
        await stopHttp(stopped, {
          timers: options.ports.timers,
          drainMs: options.drainMs ?? DEFAULT_DRAIN_MS,
          endStreams: () => stopping.abort(serverStoppingError(options.name)),
        });
      }
      address = null;
    },
  });

  return {
    name: managed.name,
    start: () => managed.start(),
    stop: (reason) => managed.stop(reason),
    state: () => managed.state(),
    get address() {
      return address;
    },
  };
}

/** From a request to its answer. */
class RestFace {
  readonly #options: HttpServerOptions;
  readonly #router: Router;
  readonly #pages: ReadonlyMap<string, SystemPage>;
  readonly #callOptions: CallMethodOptions;
  readonly #logger: Logger;

  constructor(options: HttpServerOptions) {
    const routes = routesOf(options.methods);
    const version = options.version ?? "0.0.0";
    this.#options = options;
    this.#logger = options.logger;
    let openApi: unknown;
    this.#pages = systemPages({
      name: options.name,
      version,
      routes,
      metrics: options.metrics,
      health: options.health,
      readiness: options.readiness,
      // Made at the first request for it: it takes some 10 ms that a start need not wait for.
      openApi: () => (openApi ??= openApiDocument(descriptorRegistry(), routes, { name: options.name, version })),
    });
    this.#router = new Router(routes, [...this.#pages.keys()]);
    this.#callOptions = {
      auth: options.auth,
      timers: options.ports.timers,
      maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
      callDeadlineMs: options.callDeadlineMs ?? DEFAULT_CALL_DEADLINE_MS,
    };
  }

  serve(request: IncomingMessage, response: ServerResponse, address: HostPort, stopping: AbortSignal): void {
    const requestId = chooseRequestId(headerText(request.headers["x-request-id"]), this.#options.ports.random);
    const left = new AbortController();
    // Never aborted twice, and harmless after the answer: nobody listens any more.
    response.on("close", () => left.abort());
    response.on("error", () => left.abort());
    response.setHeader("x-request-id", requestId);
    const exchange = {
      request,
      response,
      requestId,
      peer: peerOf(request),
      signal: left.signal,
      stopping,
    };
    this.#answer(exchange, address).catch((error: unknown) => this.#fail(exchange, error));
  }

  async #answer(exchange: Omit<Exchange, "query">, address: HostPort): Promise<void> {
    const { request, response } = exchange;
    const { host, origin } = request.headers;
    refuseForeign({ host, origin, localAddress: request.socket.localAddress }, this.#guard(address));
    const target = request.url ?? "/";
    const mark = target.indexOf("?");
    const path = mark < 0 ? target : target.slice(0, mark);
    const query = mark < 0 ? "" : target.slice(mark + 1);
    const httpMethod = request.method ?? "GET";
    const page = this.#pages.get(path);
    if (page === undefined) {
      return callMethod(this.#router.find(httpMethod, path), { ...exchange, query }, this.#callOptions);
    }
    if (httpMethod !== "GET" && httpMethod !== "HEAD") throw methodNotAllowed(httpMethod, path, ["GET", "HEAD"]);
    await page(response);
  }

  #guard(address: HostPort): GuardOptions {
    const { tls, listen } = this.#options;
    const { extraHosts = [], hostsSetting } = listen;
    return { scheme: tls === undefined ? "http" : "https", address, extraHosts, hostsSetting };
  }

  #fail({ request, response, requestId, peer }: Omit<Exchange, "query">, thrown: unknown): void {
    const problem = toHttpProblem(thrown, requestId);
    const fields = { request_id: requestId, peer, method: request.method, status: problem.status };
    if (problem.error.reason === "INTERNAL") {
      this.#logger.error({ ...fields, err: problem.error.cause ?? problem.error }, "an HTTP request failed");
    } else {
      this.#logger.debug({ ...fields, reason: problem.error.reason }, "an HTTP request was refused");
    }
    // In mid-answer there is no way left to say it but to break off.
    if (response.headersSent) response.destroy();
    else sendProblem(response, problem, requestId);
  }
}

/** Whether the caller is somebody, whatever is asked for. One that may not call is told so by the method. */
function showsCredential(request: IncomingMessage, auth: AuthPolicy): boolean {
  const { authorization } = request.headers;
  if (authorization === undefined) return false;
  try {
    const caller = auth.authorize({ method: "", access: "open", authorization, peer: peerOf(request) });
    // Its answer is asked for again by the call.
    if (caller instanceof Promise) caller.catch(() => undefined);
    return true;
  } catch {
    return false;
  }
}

function headerText(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === "string" ? header : header?.[0];
}

function peerOf({ socket }: IncomingMessage): string {
  const { remoteAddress = "unknown", remotePort = 0 } = socket;
  return formatHostPort({ host: remoteAddress, port: remotePort });
}
