import type { IncomingMessage } from "node:http";
import { HeadroomError } from "../errors.ts";
import { httpProblem } from "./http-problem.ts";

/** The bytes of a request's body, at most `maxBytes`. Rejects with HttpProblem 413 as soon as it is known to be longer. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (outcome: () => void): void => {
      request.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
      // What nobody wants any more is read and dropped, so that the caller comes to read our answer. The request's time
      // limit bounds that. An `error` that still comes must find a listener.
      request.on("error", () => undefined).resume();
      outcome();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > maxBytes) finish(() => reject(tooLarge(maxBytes)));
      else chunks.push(chunk);
    };
    const onEnd = (): void => finish(() => resolve(Buffer.concat(chunks)));
    const onGone = (): void => finish(() => reject(callerGone()));
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) return finish(() => reject(tooLarge(maxBytes)));
    request.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
  });
}

/** Throws HttpProblem 415 unless the body says that it is plain JSON. A web page's form cannot say so. */
export function requireJson(request: IncomingMessage): void {
  const { "content-type": type, "content-encoding": encoding } = request.headers;
  const isJson = /^application\/json(?:\s*;\s*charset="?utf-8"?)?\s*$/i.test(type ?? "");
  if (isJson && (encoding === undefined || encoding === "identity")) return;
  throw httpProblem(
    415,
    "INVALID_ARGUMENT",
    "UNSUPPORTED_CONTENT_TYPE",
    'a request with a body needs the header "content-type: application/json", without an encoding',
  );
}

/** An empty body is an empty object. Throws HttpProblem 400 for anything that is no JSON object. */
export function parseJsonObject(body: Buffer): Record<string, unknown> {
  if (body.length === 0) return {};
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw httpProblem(400, "INVALID_ARGUMENT", "MALFORMED_JSON", `the body is not JSON in UTF-8: ${why.slice(0, 200)}`);
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw httpProblem(400, "INVALID_ARGUMENT", "MALFORMED_JSON", "the body must be a JSON object, such as {}");
}

function tooLarge(maxBytes: number): Error {
  const message = `the body is longer than ${maxBytes} bytes; send less at once`;
  return httpProblem(413, "RESOURCE_EXHAUSTED", "BODY_TOO_LARGE", message);
}

function callerGone(): Error {
  return new HeadroomError({ code: "CANCELLED", reason: "CALLER_GONE", message: "the caller left in mid-request" });
}
