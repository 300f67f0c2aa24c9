import {
  createSignal,
  lifecycle,
  type Logger,
  type ManagedService,
  Outage,
  type Ports,
  sleep,
  type WakeSignal,
} from "@headroom/runtime";
import type { RegistryPort } from "../registry/port.ts";
import type { FencedAttempt } from "../store/model.ts";
import type { Releaser } from "./placer.ts";

/** What waits for an absent registry at most; the rest ends with its lease, or with the agent's next sample. */
const maxWaiting = 10_000;
const maxPerCall = 1_000;
const retryMs = 2_000;

/**
 * Gives promises back in the background, many in one call, and tries again while the registry is away. A hint that room
 * is free earlier: reservations end without it too, so what is lost with this process does no harm.
 */
export function createReleaser(options: {
  readonly registry: RegistryPort;
  readonly ports: Ports;
  readonly logger: Logger;
}): Releaser & ManagedService {
  const { registry, ports, logger } = options;
  const waiting = new Map<string, FencedAttempt & { readonly reason: string }>();
  const bell: WakeSignal = createSignal();
  const outage = new Outage(logger, {
    fails: "room cannot be given back to the registry now; trying again",
    works: "room is given back to the registry again",
  });
  let abort = new AbortController();
  let finished: Promise<void> = Promise.resolve();

  /** False: the registry was away. */
  async function send(): Promise<boolean> {
    const batch = [...waiting.values()].slice(0, maxPerCall);
    const reason = batch[0]?.reason ?? "";
    try {
      await registry.release(
        batch.map(({ attemptId, fence }) => ({ attemptId, fence })),
        reason.slice(0, 255),
      );
    } catch (error) {
      outage.failed(error, { attempts: batch.length });
      return false;
    }
    outage.worked();
    for (const sent of batch) if (waiting.get(sent.attemptId) === sent) waiting.delete(sent.attemptId);
    return true;
  }

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (waiting.size === 0) await bell.wait(signal).catch(() => undefined);
      else if (!(await send())) await sleep(ports.timers, retryMs, signal).catch(() => undefined);
    }
  }

  return {
    ...lifecycle({
      name: "releaser",
      start() {
        abort = new AbortController();
        finished = run(abort.signal);
      },
      async stop() {
        abort.abort(new Error("the releaser stops"));
        await finished;
        // One last try: it spares the next replica the wait for the leases.
        if (waiting.size > 0) await send();
      },
    }),
    release(attempts, reason) {
      for (const attempt of attempts) {
        if (waiting.size >= maxWaiting) break;
        waiting.set(attempt.attemptId, { ...attempt, reason });
      }
      bell.notify();
    },
  };
}
