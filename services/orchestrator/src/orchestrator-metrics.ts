import type { Counter, Logger, Metrics } from "@headroom/runtime";
import type { FleetView } from "./fleet-view/fleet-view.ts";
import type { QueueCounter } from "./operate/queue-counter.ts";
import type { QueueHoldView } from "./operate/queue-hold-view.ts";
import type { DatabaseWatch } from "./store/database-watch.ts";
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

const absentWhileAway = "absent while the database does not answer";

/** Gauges that are read at each scrape. What only the database knows is told by none of them while it is away: an old value would look like a new one. */
export function registerGauges(
  metrics: Metrics,
  parts: {
    readonly counter: QueueCounter;
    readonly watch: Pick<DatabaseWatch, "answers">;
    readonly queueHold: Pick<QueueHoldView, "current">;
    readonly fleet: FleetView;
    readonly sessions: Sessions;
    readonly logger: Logger;
  },
): void {
  const { counter, watch, queueHold, fleet, sessions, logger } = parts;
  const summary = async (): Promise<QueueSummary | null> => {
    if (!watch.answers) return null;
    try {
      return await counter.summary();
    } catch (error) {
      logger.debug({ err: error }, "the queue could not be counted for the metrics");
      return null;
    }
  };
  metrics.gauge("headroom_queue_tasks", `Tasks that wait, by reason; ${absentWhileAway}`, ["reason"], async (gauge) => {
    const now = await summary();
    gauge.reset();
    for (const { reason, tasks } of now?.reasons ?? []) gauge.set({ reason }, tasks);
  });
  const ofQueue = (name: string, help: string, valueOf: (now: QueueSummary) => number): void => {
    metrics.gauge(name, `${help}; ${absentWhileAway}`, [], async (gauge) => {
      const now = await summary();
      if (now === null) gauge.remove();
      else gauge.set(valueOf(now));
    });
  };
  ofQueue(
    "headroom_queue_oldest_age_seconds",
    "How long the oldest task that waits for room has had its turn; what waits for another task, for its time, for a release or for an agent that is large enough is left out; 0: none",
    (now) => (now.oldestTurnMs ?? 0) / 1_000,
  );
  ofQueue("headroom_attempts_open", "Attempts given to agents or running", (now) => now.runningAttempts);
  metrics.gauge("headroom_queue_held", `1 while an operator holds the whole queue; ${absentWhileAway}`, [], (gauge) => {
    if (watch.answers) gauge.set(queueHold.current() === null ? 0 : 1);
    else gauge.remove();
  });
  metrics.gauge(
    "headroom_database_connected",
    "1 while this process reaches its database; 0 at the start until it does, and when it has not for 5 s or longer",
    [],
    (gauge) => gauge.set(watch.answers ? 1 : 0),
  );
  metrics.gauge("headroom_agents_attached", "Work streams held here", [], (gauge) =>
    gauge.set(sessions.agentIds().length),
  );
  metrics.gauge("headroom_registry_connected", "1 while the registry is being watched", [], (gauge) =>
    gauge.set(fleet.snapshot().kind === "up" ? 1 : 0),
  );
}
