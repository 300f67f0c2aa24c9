import type { Counter, Logger, Metrics } from "@headroom/runtime";
import type { FleetView } from "./fleet-view/fleet-view.ts";
import type { OrchestratorStore } from "./store/port.ts";
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
    pollFound: metrics.counter("headroom_poll_found_tasks_total", "Resumed tasks that the poll found without any event: a missed wake-up"),
    attempts: metrics.counter("headroom_attempts_total", "Attempts that ended", ["result"]),
    refused: metrics.counter("headroom_results_refused_total", "Results of attempts that had been given up"),
  };
}

/** Gauges that are read at each scrape; with the database away they keep their last value. */
export function registerGauges(
  metrics: Metrics,
  parts: { readonly store: OrchestratorStore; readonly fleet: FleetView; readonly sessions: Sessions; readonly logger: Logger },
): void {
  const depth = metrics.gauge("headroom_queue_tasks", "Tasks that wait, by reason", ["reason"]);
  const running = metrics.gauge("headroom_attempts_open", "Attempts given to agents or running");
  metrics.gauge("headroom_queue_oldest_age_seconds", "Age of the oldest waiting task", [], async (gauge) => {
    try {
      const summary = await parts.store.queueSummary();
      depth.reset();
      for (const { reason, tasks } of summary.reasons) depth.set({ reason }, tasks);
      running.set(summary.runningAttempts);
      gauge.set((summary.oldestAgeMs ?? 0) / 1_000);
    } catch (error) {
      parts.logger.debug({ err: error }, "the queue could not be counted for the metrics");
    }
  });
  metrics.gauge("headroom_agents_attached", "Work streams held here", [], (gauge) => gauge.set(parts.sessions.agentIds().length));
  metrics.gauge("headroom_registry_connected", "1 while the registry is being watched", [], (gauge) =>
    gauge.set(parts.fleet.snapshot().kind === "up" ? 1 : 0),
  );
}
