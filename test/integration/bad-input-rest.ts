import { Agent, request } from "node:http";

export interface RestCall {
  /** HOST:PORT */
  readonly address: string;
  readonly verb: string;
  readonly path: string;
  readonly token?: string;
  /** A string or bytes go as they are, everything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** The body of an answer that is an error. */
export interface RestError {
  readonly code: number;
  readonly status: string;
  readonly message: string;
  readonly reason: string;
  readonly field_violations: readonly { readonly field: string; readonly description: string }[];
  readonly request_id: string;
}

// Not `agent: false`: that says "connection: close", and few callers do.
const keepAlive = new Agent({ keepAlive: true, maxSockets: 4 });

/** One request over HTTP, with headers that fetch would not let through. */
export function restCall(call: RestCall): Promise<RestAnswer> {
  const body = bodyOf(call.body);
  const [host, port] = call.address.split(":");
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host,
        port,
        method: call.verb,
        path: call.path,
        agent: keepAlive,
        timeout: 30_000,
        headers: {
          ...(body !== undefined && { "content-type": "application/json", "content-length": String(body.length) }),
          ...(call.token !== undefined && { authorization: `Bearer ${call.token}` }),
          ...call.headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString("utf8"),
          }),
        );
      },
    );
    sent.on("timeout", () => sent.destroy(new Error(`${call.verb} ${call.path} was not answered`)));
    sent.on("error", reject);
    sent.end(body);
  });
}

function bodyOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined;
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

/** The error that an answer carries; throws when it carries none. */
export function errorOf(answer: RestAnswer): RestError {
  const parsed = JSON.parse(answer.text) as { readonly error?: RestError };
  if (parsed.error === undefined) throw new Error(`${answer.status} without an error: ${answer.text.slice(0, 500)}`);
  return parsed.error;
}
