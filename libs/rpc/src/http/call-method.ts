import type { IncomingMessage, ServerResponse } from "node:http";
import { descriptorRegistry, jsonToMessageBytes, messageToJson } from "@headroom/contracts";
import { nextTurn, type Timers } from "@headroom/runtime";
import type { AuthPolicy } from "../auth/auth-policy.ts";
import { invalidArgument, type FieldViolation } from "../errors.ts";
import type { CallMeta, Method } from "../server/method-table.ts";
import { queryToJson, type JsonDraft } from "./query.ts";
import { parseJsonObject, readBody, requireJson } from "./read-body.ts";
import { beginStream, sendJson } from "./respond.ts";
import type { Route, RouteMatch } from "./router.ts";
import { sendStream } from "./stream-response.ts";

/** One request and where its answer goes. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Without "?". */
  readonly query: string;
  readonly requestId: string;
  readonly peer: string;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
  /** Aborted, with a HeadroomError, when streams have to end because the server stops. */
  readonly stopping: AbortSignal;
}

export interface CallMethodOptions {
  readonly auth: AuthPolicy;
  readonly timers: Timers;
  readonly maxBodyBytes: number;
  readonly callDeadlineMs: number;
}

/** Calls the method of a route and answers. Throws HttpProblem or HeadroomError as long as nothing was answered. */
export async function callMethod(
  { route, variables }: RouteMatch,
  exchange: Exchange,
  options: CallMethodOptions,
): Promise<void> {
  const { request, response } = exchange;
  const { method } = route;
  const isWrite = request.method !== "GET" && request.method !== "HEAD";
  // A page cannot send a DELETE without being asked by its browser first, whatever its type.
  if (route.body === "*") requireJson(request);
  await admitEarly(method, isWrite, exchange, options.auth);
  const message = await readRequest(route, variables, exchange, options.maxBodyBytes);
  if (method.kind === "server_stream") {
    // The head of an endless answer is known without it.
    if (request.method === "HEAD") return endHead(response);
    return callStream(method, message, exchange, options.timers);
  }
  // As over gRPC: who has gone away meanwhile is not waited for, and nothing is begun for it.
  if (method.idempotency !== "no_side_effects") await nextTurn();
  const answer = await method.invokeUnaryBytes(message, callMeta(exchange, exchange.signal, options.callDeadlineMs));
  sendJson(response, 200, messageToJson(method.responseType, answer));
}

async function callStream(method: Method, message: Uint8Array, exchange: Exchange, timers: Timers): Promise<void> {
  const { response, requestId, signal, stopping } = exchange;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  // By hand: AbortSignal.any would leave a trace of every stream on the signal that lives as long as the server.
  signal.addEventListener("abort", end, { once: true });
  stopping.addEventListener("abort", end, { once: true });
  try {
    const messages = method.invokeServerStreamBytes(message, callMeta(exchange, ended.signal, null));
    await sendStream(messages, { response, type: method.responseType, requestId, timers, stopping });
  } finally {
    stopping.removeEventListener("abort", end);
  }
}

/**
 * Before a body is read: who may not call is told at once. A write needs the token even where the method is open to reads,
 * because a browser sends writes for whoever asks it to.
 */
async function admitEarly(method: Method, isWrite: boolean, exchange: Exchange, auth: AuthPolicy): Promise<void> {
  const { authorization } = exchange.request.headers;
  if (!auth.requiresCredential || (method.access === "open" && !isWrite)) return;
  const access = method.access === "open" && authorization === undefined ? "operator" : method.access;
  await auth.authorize({ method: method.name, access, authorization, peer: exchange.peer });
}

/** The encoded request, from path, query and body. Throws INVALID_ARGUMENT that names each field at fault. */
async function readRequest(
  route: Route,
  variables: RouteMatch["variables"],
  exchange: Exchange,
  maxBodyBytes: number,
): Promise<Uint8Array> {
  const violations: FieldViolation[] = [];
  const json = await readJson(route, exchange, maxBodyBytes, violations);
  for (const [field, value] of variables) {
    const given = json[field];
    if (given !== undefined && given !== value) {
      violations.push({ field, description: "is given by the path, and differs here; leave it out" });
    }
    json[field] = value;
  }
  const read = jsonToMessageBytes(route.method.requestType, json);
  if (read.kind === "invalid") violations.push(...read.violations);
  if (read.kind === "invalid" || violations.length > 0) throw invalidArgument(violations);
  return read.value;
}

async function readJson(
  { method, body }: Route,
  { request, query }: Exchange,
  maxBodyBytes: number,
  violations: FieldViolation[],
): Promise<JsonDraft> {
  if (body === "*") {
    for (const name of new URLSearchParams(query).keys()) {
      violations.push({ field: name, description: "query parameters are not taken here; write it in the body" });
      break;
    }
    return parseJsonObject(await readBody(request, maxBodyBytes));
  }
  const type = descriptorRegistry().getMessage(method.requestType);
  if (type === undefined) throw new TypeError(`the descriptor set has no ${method.requestType}`);
  return queryToJson(type, query, violations);
}

function callMeta(
  { request, peer, requestId }: Exchange,
  signal: AbortSignal,
  deadlineLeftMs: number | null,
): CallMeta {
  return {
    transport: "http",
    peer,
    authorization: request.headers.authorization,
    requestId,
    // Node joins what comes twice with a comma, which is not well-formed then.
    traceparent: request.headers["traceparent"]?.toString(),
    deadlineLeftMs,
    signal,
  };
}

function endHead(response: ServerResponse): void {
  beginStream(response, "application/x-ndjson; charset=utf-8");
  response.end();
}
