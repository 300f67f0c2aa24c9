import { sleep, type Logger, type Timers } from "@headroom/runtime";
import { firstLookMs, looking, longestLookMs, type Members, type ProcessGroup } from "./process-group.ts";

export interface FreezerOptions {
  readonly timers: Timers;
  readonly logger: Logger;
  /** The first process has not been reaped: until then the group may be signalled unseen. */
  isOurs(): boolean;
}

/** What leaves the group again and again would be looked for for ever. */
const maxLooks = 20;

/**
 * Stops and continues the processes of an attempt: the group at once, and what has a group of its own (`timeout`, `setsid`, the jobs
 * of a shell) as soon as a look has found it.
 */
export class Freezer {
  readonly #group: ProcessGroup;
  readonly #options: FreezerOptions;
  readonly #stopped = new Set<number>();
  #isFrozen = false;
  /** Looks that are under way belong to one freeze; what comes after it ends them. */
  #turn = 0;

  constructor(group: ProcessGroup, options: FreezerOptions) {
    this.#group = group;
    this.#options = options;
  }

  freeze(): void {
    if (this.#isFrozen) return;
    this.#isFrozen = true;
    this.#turn += 1;
    if (this.#options.isOurs()) this.#group.signal("SIGSTOP");
    void this.#stopAll(this.#turn);
  }

  thaw(): void {
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    this.#turn += 1;
    // Children before their parents: a shell with job control that sees one of its jobs stopped gives it up.
    this.#group.signalEach("SIGCONT", [...this.#stopped].toReversed());
    this.#stopped.clear();
    this.#group.signal("SIGCONT");
  }

  /** They are being ended: nothing more is stopped, so that all can take their TERM. */
  stopLooking(): void {
    this.#turn += 1;
  }

  /** Until two whole looks in a row have shown nobody new: those that are stopped start no others, and one look may miss one. */
  async #stopAll(turn: number): Promise<void> {
    const { timers, logger } = this.#options;
    const look = looking(() => this.#group.members(true), logger);
    let pauseMs = firstLookMs;
    for (let looks = 0, calm = 0; looks < maxLooks; looks += 1) {
      const seen = await look();
      if (turn !== this.#turn) return;
      const found = seen === null ? null : this.#stopNew(seen);
      calm = found === 0 && seen?.unread.length === 0 ? calm + 1 : 0;
      if (calm === 2) return;
      await sleep(timers, pauseMs);
      if (turn !== this.#turn) return;
      pauseMs = Math.min(longestLookMs, pauseMs * 2);
    }
    logger.warn(
      "not all processes of a task that is to stand still could be stopped: new ones come all the time, or some cannot be read",
    );
  }

  /** Answers how many there were. */
  #stopNew({ pids }: Members): number {
    const found = pids.filter((pid) => !this.#stopped.has(pid)).toSorted((one, other) => one - other);
    this.#group.signalEach("SIGSTOP", found);
    for (const pid of found) this.#stopped.add(pid);
    return found.length;
  }
}
