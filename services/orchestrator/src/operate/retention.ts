import { type Logger, type ManagedService, Outage, type Ports, RunLoop, sleep } from "@headroom/runtime";
import type { OrchestratorStore } from "../store/port.ts";

const intervalMs = 60_000;
const errorDelayMs = 60_000;
/** Rows in one transaction at most, and a breath between two: what people wait for goes first. */
const portion = 2_000;
const breathMs = 20;
/** Portions in one run at most. */
const maxPortions = 500;
/** Plans that are waited for in one run at most, to tell whether somebody keeps them locked. */
const maxAsked = 3;

/** Deletes what has been over for longer than it is to be kept, in small portions. */
export function createRetention(options: {
  readonly store: Pick<OrchestratorStore, "trimHistory" | "isPlanKeptLocked">;
  readonly keepMs: number;
  readonly ports: Ports;
  readonly logger: Logger;
}): ManagedService {
  const { store, keepMs, ports, logger } = options;
  const outage = new Outage(logger, {
    fails: "old history cannot be deleted now; tried again each minute",
    works: "old history can be deleted again",
  });
  const locked = new Outage(logger, {
    fails: "old history of a plan cannot be deleted now, because somebody keeps it locked; tried again each minute",
    works: "old history can be deleted of every plan again",
  });
  /**
   * Left out by the run before: a plan that is only busy is free a minute later, and nothing to tell of. Nor is one so large that another
   * replica deletes it for longer, who lets go of it between two portions.
   */
  let before: ReadonlySet<string> = new Set();
  return new RunLoop({
    name: "retention",
    ports,
    intervalMs,
    errorDelayMs,
    jitterFraction: 0.2,
    async run(signal) {
      // By this machine's clock too: what was deleted because another one was wrong cannot be brought back.
      const olderThan = { ms: keepMs, nowAtMostMs: ports.clock.now() };
      let portions = 0;
      let asked = 0;
      const leftOut = new Set<string>();
      while (portions < maxPortions && !signal.aborted) {
        const trimmed = await store.trimHistory(olderThan, portion, [...leftOut]);
        for (const { planId, error } of trimmed.leftOut) {
          leftOut.add(planId);
          if (!before.has(planId)) continue;
          // With an error it was waited for already.
          const isKept = error !== null || (asked++ < maxAsked && (await store.isPlanKeptLocked(planId)));
          if (isKept) locked.failed(error, { plan_id: planId });
        }
        if (trimmed.isTrimmed) portions += 1;
        else if (trimmed.leftOut.length === 0) break;
        await sleep(ports.timers, breathMs, signal).catch(() => undefined);
      }
      before = leftOut;
      if (leftOut.size === 0) locked.worked();
      outage.worked();
      if (portions > 0) logger.info({ portions, keep_days: keepMs / 86_400_000 }, "old history was deleted");
    },
    onError: (error) => outage.failed(error),
  });
}
