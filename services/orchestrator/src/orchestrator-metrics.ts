import type { Counter, Logger, Metrics } from "@headroom/runtime";
import type { FleetView } from "./fleet-view/fleet-view.ts";
import type { QueueCounter } from "./operate/queue-counter.ts";
import type { QueueHoldView } from "./operate/queue-hold-view.ts";
import type { QueueSummary } from "./store/model.ts";
import type { Sessions } from "./work/sessions.ts";

export interface OrchestratorMetrics {
  readonly passes: Counter<"result">;
  readonly resumed: Counter;
  readonly pollFound: Counter;
  readonly attempts: Counter<"result">;
  readonly refused: Counter;
}

export function createOrchestratorMetrics(metrics: Metrics): OrchestratorMetrics {
  return {
    passes: metrics.counter("headroom_resume_passes_total", "Passes over the pause queue", ["result"]),
    resumed: metrics.counter("headroom_tasks_resumed_total", "Tasks that were resumed from the pause queue"),
    pollFound: metrics.counter(
      "headroom_poll_found_tasks_total",
      "Resumed tasks that a poll found after an interval without any event: a missed wake-up",
    ),
    attempts: metrics.counter("headroom_attempts_total", "Attempts that ended", ["result"]),
    refused: metrics.counter("headroom_results_refused_total", "Results of attempts that had been given up"),
  };
}

/** Gauges that are read at each scrape; with the database away they keep their last value. */
export function registerGauges(
  metrics: Metrics,
  parts: {
    readonly counter: QueueCounter;
    readonly queueHold: Pick<QueueHoldView, "current">;
    readonly fleet: FleetView;
    readonly sessions: Sessions;
    readonly logger: Logger;
  },
): void {
  const { counter, queueHold, fleet, sessions, logger } = parts;
  const summary = (): Promise<QueueSummary | null> =>
    counter.summary().catch((error: unknown) => {
      logger.debug({ err: error }, "the queue could not be counted for the metrics");
      return null;
    });
  metrics.gauge("headroom_queue_tasks", "Tasks that wait, by reason", ["reason"], async (gauge) => {
    const now = await summary();
    if (now === null) return;
    gauge.reset();
    for (const { reason, tasks } of now.reasons) gauge.set({ reason }, tasks);
  });
  metrics.gauge("headroom_queue_oldest_age_seconds", "Age of the oldest waiting task", [], async (gauge) => {
    const now = await summary();
    if (now !== null) gauge.set((now.oldestAgeMs ?? 0) / 1_000);
  });
  metrics.gauge("headroom_attempts_open", "Attempts given to agents or running", [], async (gauge) => {
    const now = await summary();
    if (now !== null) gauge.set(now.runningAttempts);
  });
  metrics.gauge("headroom_queue_held", "1 while an operator holds the whole queue", [], (gauge) =>
    gauge.set(queueHold.current() === null ? 0 : 1),
  );
  metrics.gauge("headroom_agents_attached", "Work streams held here", [], (gauge) =>
    gauge.set(sessions.agentIds().length),
  );
  metrics.gauge("headroom_registry_connected", "1 while the registry is being watched", [], (gauge) =>
    gauge.set(fleet.snapshot().kind === "up" ? 1 : 0),
  );
}
