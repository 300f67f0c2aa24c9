import { isDiskFull, type Logger } from "@headroom/runtime";
import type { AgentHome } from "./home.ts";
import type { Leftover, ProcessRunner } from "./runner/runner.ts";
import { defaultGraceMs } from "./work/supervisor.ts";

export interface EarlyEndingsOptions {
  readonly home: AgentHome;
  readonly runner: ProcessRunner;
  readonly logger: Logger;
}

/**
 * Ends what an earlier program left running although the start cannot go on: it waits for room on the disk, and to end a process takes
 * none. What is not written down yet is written by the start that succeeds, which joins these endings, so that each is made and counted
 * once. Should this program end before, the next one finds nothing left to end, and writes that down.
 */
export class EarlyEndings {
  readonly #begun = new Map<string, Promise<number | null>>();
  /** What earlier programs left is being removed: it may be what fills the disk. */
  #isRemoving = false;
  /** Each start has one of its own; these make what was begun. */
  readonly #runners = new Set<ProcessRunner>();

  /** After a start that failed with `error`: begins the endings, in the background, if a full disk is why. Never rejects. */
  async afterFailedStart(error: unknown, { home, runner, logger }: EarlyEndingsOptions): Promise<void> {
    if (!isDiskFull(error) || home.leftovers === undefined) return;
    try {
      const leftovers = await home.leftovers();
      // Another agent has the folder, and what is in it.
      if (leftovers === null) return;
      for (const leftover of leftovers) this.#begin(leftover, runner, logger);
      this.#removeLeft(runner, new Set(leftovers.map(({ attemptId }) => attemptId)));
    } catch (why) {
      logger.warn({ err: why }, "what an earlier agent program left running cannot be told yet; trying again");
    }
  }

  /** The runner with which the start that succeeds joins what was begun. */
  joinedBy(runner: ProcessRunner): ProcessRunner {
    return {
      start: (spec, sink, mayStart, signal) => runner.start(spec, sink, mayStart, signal),
      endLeftover: (leftover, graceMs) => {
        const begun = this.#begun.get(leftover.attemptId);
        if (begun === undefined) return runner.endLeftover(leftover, graceMs);
        // One that could not be told is asked about again.
        return begun.then((count) => count ?? runner.endLeftover(leftover, graceMs));
      },
      removeLeft: (but) => this.#removeLeft(runner, but),
      isBlind: () => runner.isBlind?.() === true,
      stopping: () => {
        for (const each of new Set([...this.#runners, runner])) each.stopping?.();
      },
    };
  }

  /** Once: nothing new is left between one start and the next. */
  #removeLeft(runner: ProcessRunner, but: ReadonlySet<string>): void {
    if (this.#isRemoving) return;
    this.#isRemoving = true;
    runner.removeLeft?.(but);
  }

  #begin(leftover: Leftover, runner: ProcessRunner, logger: Logger): void {
    const { attemptId } = leftover;
    if (this.#begun.has(attemptId)) return;
    this.#runners.add(runner);
    const ending = runner.endLeftover(leftover, defaultGraceMs);
    this.#begun.set(attemptId, ending);
    ending.catch((error: unknown) => {
      this.#begun.delete(attemptId);
      logger.error({ err: error, attempt_id: attemptId }, "what an earlier agent program left running was not ended");
    });
  }
}
