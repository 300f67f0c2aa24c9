import type { ServerResponse } from "node:http";
import { messageToJson } from "@headroom/contracts";
import { sleep, type Timers } from "@headroom/runtime";
import { unlessAborted } from "../pipeline/call-scope.ts";
import { errorBody, toHttpProblem } from "./http-problem.ts";
import { beginStream } from "./respond.ts";

/** An error within this time still gets its own status; later the stream has begun, and it becomes the last line. */
const HEADERS_WAIT_MS = 200;

export interface StreamResponseOptions {
  readonly response: ServerResponse;
  /** Full name of the messages. */
  readonly type: string;
  readonly requestId: string;
  readonly timers: Timers;
  /** Ends the stream with its reason, a HeadroomError. */
  readonly stopping: AbortSignal;
}

/**
 * Writes a stream of messages as newline-delimited JSON, one object a line, no faster than the reader takes them. Rejects with an error
 * that comes before anything was written; a later one becomes the last line, `{"error": ...}`.
 */
export async function sendStream(messages: AsyncIterable<Uint8Array>, options: StreamResponseOptions): Promise<void> {
  const { response, requestId, stopping } = options;
  const reader = messages[Symbol.asyncIterator]();
  try {
    const first = unlessAborted(reader.next(), stopping);
    await Promise.race([first.then(() => undefined), shortWait(options.timers)]);
    beginStream(response, "application/x-ndjson; charset=utf-8");
    for (let next = await first; next.done !== true; next = await unlessAborted(reader.next(), stopping)) {
      await writeLine(response, messageToJson(options.type, next.value));
      if (response.destroyed) return;
    }
    response.end();
  } catch (error) {
    if (!response.headersSent) throw error;
    if (!response.destroyed) response.end(`${JSON.stringify(errorBody(toHttpProblem(error, requestId), requestId))}\n`);
  } finally {
    await reader.return?.();
  }
}

function shortWait(timers: Timers): Promise<void> {
  return sleep(timers, HEADERS_WAIT_MS, undefined, { keepAlive: false });
}

/** Resolves when more may be written, or the reader is gone. */
async function writeLine(response: ServerResponse, json: unknown): Promise<void> {
  if (response.destroyed || response.write(`${JSON.stringify(json)}\n`)) return;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      response.off("drain", go);
      response.off("close", go);
      resolve();
    };
    // After a reset `drain` never comes.
    response.on("drain", go);
    response.on("close", go);
  });
}
