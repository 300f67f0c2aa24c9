import { sleep, type Logger, type Ports } from "@headroom/runtime";
import { serverStoppingError } from "../pipeline/call-scope.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { StoppingListener } from "./rpc-server-options.ts";
import type { OpenTransport } from "./server-transport.ts";

export interface StopOptions {
  readonly name: string;
  readonly reason: string;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly pipeline: Pipeline;
  readonly drainMs: number;
  readonly listeners: readonly StoppingListener[];
  /** Health says NOT_SERVING from now on. */
  readonly goDown: () => void;
}

// Time for the last statuses to leave the sockets before these are destroyed.
const farewellMs = 250;

/**
 * Stops a server in order: tells the services (they say "reconnect" on their streams), says so in health checks, ends what only listens,
 * waits for calls in progress, at last ends these too. After the drain time plus 250 ms nothing is left.
 */
export async function stopTransport(transport: OpenTransport, options: StopOptions): Promise<void> {
  const { ports, pipeline, drainMs, logger } = options;
  const deadlineMs = ports.clock.monotonic() + drainMs;
  const left = (): number => Math.max(0, deadlineMs - ports.clock.monotonic());

  await within(ports, left(), tellListeners(options));
  options.goDown();
  // Their callers come back by themselves, and the handlers only wait for news.
  pipeline.abortAll(serverStoppingError(options.name), new Set(["server_stream"]));
  const drained = transport.drain();
  if (!(await within(ports, left(), drained))) {
    logger.warn(
      { open_calls: pipeline.openCalls, drain_ms: drainMs },
      `${options.name}: calls are still open after the drain time and are ended now`,
    );
    pipeline.abortAll(serverStoppingError(options.name), new Set(["unary", "server_stream", "duplex"]));
    await within(ports, farewellMs, drained);
  }
  transport.destroy();
  await within(ports, farewellMs, drained);
}

async function tellListeners(options: StopOptions): Promise<void> {
  await Promise.all(
    options.listeners.map(async (listener) => {
      try {
        await listener(options.reason);
      } catch (error) {
        options.logger.error({ err: error }, `${options.name}: a listener failed that was told of the stop`);
      }
    }),
  );
}

/** Whether the promise, which never rejects, was done in time. */
async function within(ports: Ports, limitMs: number, done: Promise<void>): Promise<boolean> {
  const waiting = new AbortController();
  const late = sleep(ports.timers, limitMs, waiting.signal).then(
    () => false,
    () => false,
  );
  const inTime = await Promise.race([done.then(() => true), late]);
  waiting.abort();
  return inTime;
}
