import { type Logger, type ManagedService, Outage, type Ports, RunLoop } from "@headroom/runtime";
import type { OrchestratorStore } from "../store/port.ts";

const intervalMs = 1_000;
const errorDelayMs = 2_000;
const batch = 500;
/** Batches in one run at most: the next run goes on. */
const maxRounds = 20;

/** Fails tasks that have waited longer than their `wait_timeout`, by the database's clock. */
export function createWaitTimeouts(options: {
  readonly store: Pick<OrchestratorStore, "failWaitedTooLong">;
  readonly planChanged: (planId: string) => void;
  readonly ports: Ports;
  readonly logger: Logger;
}): ManagedService {
  const { store, logger } = options;
  const outage = new Outage(logger, {
    fails: "tasks that waited longer than their wait_timeout cannot be looked for now; tried again all the time",
    works: "tasks that waited longer than their wait_timeout are looked for again",
  });
  return new RunLoop({
    name: "wait timeouts",
    ports: options.ports,
    intervalMs,
    errorDelayMs,
    jitterFraction: 0.1,
    async run(signal) {
      for (let round = 0; round < maxRounds && !signal.aborted; round += 1) {
        const failed = await store.failWaitedTooLong(batch);
        for (const { planId, taskId, sentence } of failed)
          logger.info({ plan_id: planId, task_id: taskId, state: "failed", sentence }, "task failed");
        for (const planId of new Set(failed.map((task) => task.planId))) options.planChanged(planId);
        if (failed.length < batch) break;
      }
      outage.worked();
    },
    onError: (error) => outage.failed(error),
  });
}
