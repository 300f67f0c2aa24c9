import { withTimeout, type Logger, type Ports, type SuspendMeter } from "@headroom/runtime";
import type { KeptConnection } from "../connection/keep-connected.ts";
import { awake, stepSleep, type SleepEvent } from "./sleep-machine.ts";
import type { SleepSource } from "./sleep-source.ts";

export interface SleeperOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly source: SleepSource;
  readonly meter: SuspendMeter;
  /** Stops what runs, and lets nothing go on until its lease is renewed. */
  readonly work: { sleep(): void; wake(): void };
  /** Streams to the services: they end with a goodbye, and are opened anew. */
  readonly connections: readonly KeptConnection[];
}

/** Takes the agent to sleep with its machine, and back. */
export interface Sleeper {
  start(): void;
  /** Call once a second, before leases are looked at. */
  tick(): void;
  stop(): Promise<void>;
}

/** The system waits 5 s at most. */
const goodbyeLimitMs = 4_000;

export function createSleeper(options: SleeperOptions): Sleeper {
  const { ports, logger, source, meter, work, connections } = options;
  let state = awake;
  let tickedAtMs = ports.clock.monotonic();

  async function handle(event: SleepEvent): Promise<void> {
    const step = stepSleep(state, event);
    state = step.state;
    switch (step.effect?.kind) {
      case "go_to_sleep":
        logger.info("the machine is about to sleep: saying goodbye");
        // Stopped before anybody is told: on waking nothing runs before the orchestrator says that it may.
        work.sleep();
        return rest();
      case "wake_up": {
        const { suspendedMs, wasAnnounced } = step.effect;
        logger.info({ suspended_ms: Math.round(suspendedMs), announced: wasAnnounced }, "the machine is back");
        work.wake();
        for (const connection of connections) connection.resume();
        return;
      }
      case undefined:
        return;
    }
  }

  async function rest(): Promise<void> {
    const gone = Promise.all(connections.map((connection) => connection.rest()));
    const late = (): Error => new Error("a service did not close its stream in time");
    await withTimeout(ports.timers, goodbyeLimitMs, gone, late).catch((error: unknown) => {
      logger.debug({ err: error }, "the machine sleeps without every goodbye");
    });
  }

  return {
    start() {
      tickedAtMs = ports.clock.monotonic();
      meter.takeMs();
      source.start({ announced: () => handle({ kind: "announced" }), back: () => void handle({ kind: "back" }) });
    },
    tick() {
      const nowMs = ports.clock.monotonic();
      const suspendedMs = meter.takeMs();
      const awakeMs = Math.max(0, nowMs - tickedAtMs - suspendedMs);
      tickedAtMs = nowMs;
      void handle({ kind: "tick", suspendedMs, awakeMs });
    },
    stop: () => source.stop(),
  };
}
