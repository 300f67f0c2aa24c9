import { type Listener, mayHeal, type Notifier } from "@headroom/postgres";
import { lifecycle, type Logger, type ManagedService, Outage, type Ports, RunLoop, sleep } from "@headroom/runtime";
import type { DatabaseWatch } from "../store/database-watch.ts";
import type { HoldRecord } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";

const holdChannel = "headroom_orchestrator_queue_hold";
/** For what no notification told of. */
const intervalMs = 1_000;
const errorDelayMs = 1_000;

/** Whether an operator holds the whole queue, as this replica knows it: at once here, within a second on the others. */
export interface QueueHoldView extends ManagedService {
  current(): HoldRecord | null;
  /** It was changed here, and committed: knows it at once and tells the other replicas. */
  changed(hold: HoldRecord | null): void;
}

export interface QueueHoldViewOptions {
  readonly store: Pick<OrchestratorStore, "queueHold">;
  readonly notifier: Pick<Notifier, "notify">;
  readonly listener: Pick<Listener, "subscribe"> | null;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly onRelease: () => void;
  /** Told how each look went. */
  readonly watch: Pick<DatabaseWatch, "answered" | "failed">;
}

/** Has looked once when it has started: a queue that was held before a restart lets nothing start after it. */
export function createQueueHoldView(options: QueueHoldViewOptions): QueueHoldView {
  const { store, notifier, listener, ports, logger, watch } = options;
  let hold: HoldRecord | null = null;
  let leave: (() => void) | undefined;

  function know(next: HoldRecord | null): void {
    const before = hold;
    hold = next;
    if (before !== null && next === null) {
      logger.info({ held_by: before.heldBy }, "the queue is released");
      options.onRelease();
    } else if (before === null && next !== null) {
      logger.warn({ held_by: next.heldBy, reason: next.reason }, "the queue is held: nothing new starts");
    }
  }

  async function look(): Promise<void> {
    const found = await store.queueHold();
    watch.answered();
    know(found);
  }

  /** Nothing may be placed before it is known; a database that goes away meanwhile is waited for. Throws what waiting cannot heal. */
  async function firstLook(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      try {
        return await look();
      } catch (error) {
        if (!mayHeal(error)) throw error;
        logger.warn({ err: error }, "whether the queue is held could not be read; trying again");
        await sleep(ports.timers, errorDelayMs, signal);
      }
    }
  }

  const outage = new Outage(logger, {
    fails: "whether the queue is held cannot be read; the last known holds",
    works: "whether the queue is held can be read again",
  });
  const loop = new RunLoop({
    name: "queue hold",
    ports,
    intervalMs,
    errorDelayMs,
    jitterFraction: 0.1,
    run: async () => {
      await look();
      outage.worked();
    },
    onError(error) {
      outage.failed(error);
      watch.failed();
    },
  });

  return {
    ...lifecycle({
      name: "queue hold view",
      async start(signal) {
        await firstLook(signal);
        leave = listener?.subscribe(holdChannel, () => loop.wake("notified"));
        await loop.start();
      },
      async stop(reason) {
        leave?.();
        await loop.stop(reason);
      },
    }),
    current: () => hold,
    changed(next) {
      know(next);
      notifier.notify(holdChannel, "queue");
    },
  };
}

/** Why nothing starts, for a person. */
export function queueHoldSentence(hold: HoldRecord): string {
  const by = hold.heldBy === "" ? "" : ` by ${hold.heldBy}`;
  const why = hold.reason === "" ? "." : `: ${hold.reason}`;
  return `The queue is held${by} since ${new Date(hold.heldAtMs).toISOString()}${why}`;
}
