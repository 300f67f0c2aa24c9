import { type Logger, type ManagedService, Outage, type Ports, RunLoop, sleep } from "@headroom/runtime";
import type { OrchestratorStore } from "../store/port.ts";

const intervalMs = 60_000;
const errorDelayMs = 60_000;
/** Rows in one transaction at most, and a breath between two: what people wait for goes first. */
const portion = 2_000;
const breathMs = 20;
/** Portions in one run at most. */
const maxPortions = 500;

/** Deletes what has been over for longer than it is to be kept, in small portions. */
export function createRetention(options: {
  readonly store: Pick<OrchestratorStore, "trimHistory">;
  readonly keepMs: number;
  readonly ports: Ports;
  readonly logger: Logger;
}): ManagedService {
  const { store, keepMs, ports, logger } = options;
  const outage = new Outage(logger, {
    fails: "old history cannot be deleted now; tried again each minute",
    works: "old history can be deleted again",
  });
  return new RunLoop({
    name: "retention",
    ports,
    intervalMs,
    errorDelayMs,
    jitterFraction: 0.2,
    async run(signal) {
      let portions = 0;
      while (portions < maxPortions && !signal.aborted && (await store.trimHistory(keepMs, portion))) {
        portions += 1;
        await sleep(ports.timers, breathMs, signal).catch(() => undefined);
      }
      outage.worked();
      if (portions > 0) logger.info({ portions, keep_days: keepMs / 86_400_000 }, "old history was deleted");
    },
    onError: (error) => outage.failed(error),
  });
}
