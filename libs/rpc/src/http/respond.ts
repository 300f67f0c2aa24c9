import type { ServerResponse } from "node:http";
import { errorBody, type HttpProblem } from "./http-problem.ts";

/** On every answer: nothing here is for caches, and a browser must not guess a type. */
const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  sendText(response, status, "application/json; charset=utf-8", `${JSON.stringify(body)}\n`, headers);
}

export function sendText(
  response: ServerResponse,
  status: number,
  contentType: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const bytes = Buffer.from(text, "utf8");
  response.writeHead(status, {
    ...COMMON_HEADERS,
    "content-type": contentType,
    "content-length": bytes.length,
    ...headers,
  });
  // For HEAD, Node itself leaves the body out.
  response.end(bytes);
}

export function sendProblem(response: ServerResponse, problem: HttpProblem, requestId: string): void {
  sendJson(response, problem.status, errorBody(problem, requestId), problem.headers);
}

/** The begin of an answer whose length nobody knows. */
export function beginStream(response: ServerResponse, contentType: string): void {
  response.writeHead(200, { ...COMMON_HEADERS, "content-type": contentType });
  response.flushHeaders();
}
