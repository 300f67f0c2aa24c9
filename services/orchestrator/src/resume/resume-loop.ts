import {
  type Counter,
  lifecycle,
  type Logger,
  type ManagedService,
  type Ports,
  RunLoop,
  type Timer,
} from "@headroom/runtime";
import type { FleetView } from "../fleet-view/fleet-view.ts";
import type { AvoidedAgents } from "../placing/avoided-agents.ts";
import type { OrchestratorStore } from "../store/port.ts";
import type { Resumer } from "./resumer.ts";

export interface ResumeLoopOptions {
  readonly resumer: Resumer;
  readonly store: Pick<OrchestratorStore, "nextDueInMs">;
  readonly fleet: Pick<FleetView, "onNews">;
  readonly avoided: Pick<AvoidedAgents, "endsInMs">;
  readonly ports: Ports;
  readonly logger: Logger;
  /** PAUSE_POLLING_INTERVAL_SECONDS. */
  readonly intervalMs: number;
  /** R-PAUSE-7: 30 s. */
  readonly errorDelayMs: number;
  readonly metrics: { readonly pollFound: Counter };
}

export interface ResumeLoop extends ManagedService {
  /** Something may have changed: look now. */
  wake(cause: string): void;
  /** When the last pass ended, epoch ms by this process's clock; null before. */
  lastPassAtMs(): number | null;
}

/** R-PAUSE-7: a pass every interval, and whenever something is heard of. The poll is the truth, what is heard only a hint. */
export function createResumeLoop(options: ResumeLoopOptions): ResumeLoop {
  const { resumer, store, ports, logger, intervalMs } = options;
  let lastPassAtMs: number | null = null;
  let timer: Timer | undefined;
  let leave: (() => void) | undefined;

  const loop = new RunLoop({
    name: "resume loop",
    ports,
    intervalMs,
    errorDelayMs: options.errorDelayMs,
    jitterFraction: 0.1,
    async run(signal, cause) {
      const polled = cause === "interval" || cause === "start" || cause === "retry";
      // A wake-up writes little: rows that were checked within an interval keep their time.
      const result = await resumer.pass({ planId: null, cause, freshMs: polled ? 0 : intervalMs, signal });
      lastPassAtMs = ports.clock.now();
      if (cause === "interval" && result.resumed > 0) {
        options.metrics.pollFound.inc(result.resumed);
        logger.debug({ resumed: result.resumed }, "the poll found work that no event had told of");
      }
      await setTimer();
    },
    onError: (error, cause) =>
      logger.error(
        { err: error, cause, retry_in_ms: options.errorDelayMs },
        "a pass over the queue failed; nothing is lost, it is tried again",
      ),
  });

  /** A row that falls due is no event, and neither is the end of an agent's avoidance. */
  async function setTimer(): Promise<void> {
    timer?.cancel();
    const times = [await store.nextDueInMs(), options.avoided.endsInMs()].filter((ms) => ms !== null);
    if (times.length === 0) return;
    // One more millisecond: the database compares in microseconds.
    timer = ports.timers.after(Math.max(1, Math.ceil(Math.min(...times)) + 1), () => loop.wake("a task falls due"), {
      keepAlive: false,
    });
  }

  return {
    ...lifecycle({
      name: "resume loop",
      start() {
        leave = options.fleet.onNews((news) => {
          if (news !== "disconnected") loop.wake(news === "connected" ? "registry connected" : "room appeared");
        });
        return loop.start();
      },
      async stop(reason) {
        leave?.();
        await loop.stop(reason);
        timer?.cancel();
      },
    }),
    wake: (cause) => loop.wake(cause),
    lastPassAtMs: () => lastPassAtMs,
  };
}
