import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Ports } from "@headroom/runtime";

/** How long an answer may wait for its reader; as long as a request may take to come. */
const timeoutMs = 60_000;
const lookEveryMs = 15_000;

export interface UnreadAnswersOptions {
  readonly ports: Pick<Ports, "clock" | "timers">;
  readonly endConnection: (socket: Socket) => void;
}

/**
 * Ends connections whose callers do not take their answers. Node's own `timeout` would do it only of those that say nothing either, and would
 * end streams that have no news.
 */
export class UnreadAnswers {
  readonly #options: UnreadAnswersOptions;
  /** Since when they have been seen waiting; null: they were not, or something was taken since. */
  readonly #waitingSinceMs = new Map<ServerResponse, number | null>();
  #isLooking = false;

  constructor(options: UnreadAnswersOptions) {
    this.#options = options;
  }

  watch(response: ServerResponse): void {
    this.#waitingSinceMs.set(response, null);
    response.on("drain", () => void (this.#waitingSinceMs.has(response) && this.#waitingSinceMs.set(response, null)));
    response.once("close", () => this.#waitingSinceMs.delete(response));
    this.#lookLater();
  }

  #lookLater(): void {
    if (this.#isLooking || this.#waitingSinceMs.size === 0) return;
    this.#isLooking = true;
    this.#options.ports.timers.after(lookEveryMs, () => this.#look(), { keepAlive: false });
  }

  #look(): void {
    const nowMs = this.#options.ports.clock.monotonic();
    for (const [response, sinceMs] of this.#waitingSinceMs) {
      if (response.req.socket.destroyed) this.#waitingSinceMs.delete(response);
      else if (!waits(response)) this.#waitingSinceMs.set(response, null);
      else if (sinceMs === null) this.#waitingSinceMs.set(response, nowMs);
      else if (nowMs - sinceMs >= timeoutMs) this.#options.endConnection(response.req.socket);
    }
    this.#isLooking = false;
    this.#lookLater();
  }
}

/** Whether something of it lies here. One that is pipelined behind another has no socket yet, and waits for that. */
function waits(response: ServerResponse): boolean {
  return response.socket !== null && (response.writableEnded || response.writableNeedDrain);
}
