import { type Logger, type ManagedService, Outage, type Ports, RunLoop } from "@headroom/runtime";
import type { OrchestratorStore, PuttingOff } from "../store/port.ts";

const intervalMs = 1_000;
const errorDelayMs = 2_000;
const batch = 500;
/** Batches in one run at most: the next run goes on. One that left out a plan may have waited 2 s for it. */
const maxRounds = 20;
/** Deadlines that are put off in one transaction after a release of the queue. */
const putOffBatch = 1_000;

/** Fails tasks that have waited longer than their `wait_timeout`, by the database's clock, and puts deadlines off by the time that the queue was held. */
export function createWaitTimeouts(options: {
  readonly store: Pick<OrchestratorStore, "failWaitedTooLong" | "putOffAfterRelease">;
  readonly planChanged: (planId: string) => void;
  readonly ports: Ports;
  readonly logger: Logger;
}): ManagedService {
  const { store, logger } = options;
  const outage = new Outage(logger, {
    fails: "tasks that waited longer than their wait_timeout cannot be looked for now; tried again all the time",
    works: "tasks that waited longer than their wait_timeout are looked for again",
  });
  const locked = new Outage(logger, {
    fails:
      "of a plan nothing can be written now: its tasks that waited longer than their wait_timeout wait still; tried again all the time",
    works: "tasks that waited longer than their wait_timeout are failed of every plan again",
  });
  let puttingOff: PuttingOff | null = null;

  async function putOff(signal: AbortSignal): Promise<void> {
    for (let round = 0; round < maxRounds && !signal.aborted; round += 1) {
      puttingOff = await store.putOffAfterRelease(putOffBatch, puttingOff);
      if (puttingOff === null) break;
    }
  }

  return new RunLoop({
    name: "wait timeouts",
    ports: options.ports,
    intervalMs,
    errorDelayMs,
    jitterFraction: 0.1,
    async run(signal) {
      const leftOut: string[] = [];
      for (let round = 0; round < maxRounds && !signal.aborted; round += 1) {
        const done = await store.failWaitedTooLong(batch, leftOut);
        for (const { planId, taskId, sentence } of done.failed)
          logger.info({ plan_id: planId, task_id: taskId, state: "failed", sentence }, "task failed");
        for (const planId of new Set(done.failed.map((task) => task.planId))) options.planChanged(planId);
        for (const { planId, error } of done.leftOut) {
          // One that is only busy is nothing to tell of.
          if (error !== null) locked.failed(error, { plan_id: planId });
          leftOut.push(planId);
        }
        // What was left out may have been the whole batch: others stand behind it.
        if (done.failed.length + done.putOff < batch && done.leftOut.length === 0) break;
      }
      if (leftOut.length === 0) locked.worked();
      await putOff(signal);
      outage.worked();
    },
    onError: (error) => outage.failed(error),
  });
}
