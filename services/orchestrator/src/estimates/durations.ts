import { isAboutDatabase } from "@headroom/postgres";
import { type Logger, type ManagedService, Outage, type Ports, RunLoop } from "@headroom/runtime";
import { typicalDurationMs } from "@headroom/scheduling";
import type { LearnedDuration, OrchestratorStore } from "../store/port.ts";

const intervalMs = 2_000;
const errorDelayMs = 10_000;
/** Runs noted between two writes at most: more of them would teach nothing new. */
const maxNoted = 200;
/** Names of plans whose durations are kept in memory, and for how long. */
const maxPlanNames = 200;
const freshMs = 30_000;

/** How long tasks take, learned from runs that succeeded. Only ever a help: what is lost with a process is learned again. */
export interface Durations extends ManagedService {
  /** A run succeeded. Costs nothing now; written with others, off the path of results. */
  note(attemptId: string): void;
  /** How long each of these tasks is expected to run, by its name; null where nothing is known, or nothing can be read. Never rejects. */
  expect(planName: string): Promise<(taskName: string) => number | null>;
}

interface Known {
  readonly atMs: number;
  readonly byTask: ReadonlyMap<string, number>;
}

export function createDurations(options: {
  readonly store: Pick<OrchestratorStore, "learnDurations" | "learnedDurations">;
  readonly ports: Ports;
  readonly logger: Logger;
}): Durations {
  const { store, ports, logger } = options;
  const noted = new Set<string>();
  const known = new Map<string, Known>();
  const learning = new Outage(logger, {
    fails: "how long tasks take cannot be learned now; trying again",
    works: "how long tasks take is learned again",
  });
  const reading = new Outage(logger, {
    fails: "how long tasks take cannot be read now; plans are accepted without",
    works: "how long tasks take can be read again",
  });

  const loop = new RunLoop({
    name: "durations",
    ports,
    intervalMs,
    errorDelayMs,
    jitterFraction: 0.1,
    async run() {
      const batch = [...noted];
      if (batch.length === 0) return;
      try {
        await store.learnDurations(batch);
        learning.worked();
      } catch (error) {
        // What the database refuses for what it says would be refused again, and nothing be learned any more.
        if (isAboutDatabase(error)) throw error;
        learning.failed(error);
      }
      for (const attemptId of batch) noted.delete(attemptId);
    },
    onError: (error) => learning.failed(error),
  });

  async function load(planName: string): Promise<Known> {
    const byTask = new Map((await store.learnedDurations(planName)).flatMap(typical));
    const loaded = { atMs: ports.clock.monotonic(), byTask };
    known.delete(planName);
    const oldest = known.size >= maxPlanNames ? known.keys().next().value : undefined;
    if (oldest !== undefined) known.delete(oldest);
    known.set(planName, loaded);
    return loaded;
  }

  async function loadIfPossible(planName: string): Promise<Known | undefined> {
    try {
      const loaded = await load(planName);
      reading.worked();
      return loaded;
    } catch (error) {
      reading.failed(error);
      return known.get(planName);
    }
  }

  return {
    name: loop.name,
    state: () => loop.state(),
    start: () => loop.start(),
    stop: (reason) => loop.stop(reason),
    note(attemptId) {
      if (noted.size < maxNoted) noted.add(attemptId);
    },
    async expect(planName) {
      const before = known.get(planName);
      const isFresh = before !== undefined && ports.clock.monotonic() - before.atMs < freshMs;
      const byTask = (isFresh ? before : await loadIfPossible(planName))?.byTask;
      return (taskName) => byTask?.get(taskName) ?? byTask?.get("") ?? null;
    },
  };
}

function typical({ taskName, recentMs }: LearnedDuration): readonly [string, number][] {
  const ms = typicalDurationMs(recentMs);
  return ms === null ? [] : [[taskName, ms]];
}
