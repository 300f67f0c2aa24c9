import { sleep, type Timers } from "@headroom/runtime";
import type { BoundedRead } from "../bounded-reads.ts";
import { lacksMeans } from "./lacks-means.ts";
import type { MarkedLook, ProcessIdentity } from "./process-table.ts";

export interface MarkedProcessesOptions {
  readonly timers: Timers;
  /** Longest that one look takes, however many processes there are. */
  readonly lookLimitMs: number;
  /** Processes that have an environment. */
  list(): readonly ProcessIdentity[];
  /** Entries parted by NUL; null: there is none, or it is not this user's to read. Rejects where that cannot be told. */
  readEnvironment(identity: ProcessIdentity): Promise<BoundedRead<string | null>>;
}

interface Look extends MarkedLook {
  /** Each process was read. */
  readonly isWhole: boolean;
}

type Environment = BoundedRead<string | null>;

interface Known {
  readonly startToken: string;
  readonly name: string;
  /** With that name; null: it has none. */
  readonly entry: string | null;
}

/**
 * Finds processes by an entry of their environment, and knows those again that cannot be read any more: what had no such entry when it was
 * read gets none later, for only what descends from a task has one.
 */
export class MarkedProcesses {
  readonly #options: MarkedProcessesOptions;
  /** What was read of a process last. */
  readonly #known = new Map<number, Known>();
  /** Readings under way or waiting, by pid: looks that come together share them. */
  readonly #shared = new Map<number, { readonly startToken: string; readonly reading: Promise<Environment> }>();

  constructor(options: MarkedProcessesOptions) {
    this.#options = options;
  }

  /** `unread` are all that nothing is known of. */
  async find(entry: string): Promise<Look> {
    const rows = this.#options.list();
    this.#forgetAllBut(rows);
    const name = entry.slice(0, entry.indexOf("=") + 1);
    const readNow = new Map<number, string | null>();
    const readings = rows.map(async ({ pid, startToken }) => {
      const answer = await this.#environment({ pid, startToken }).catch(unread);
      if (answer.kind === "hangs") return;
      const own = entryOf(answer.value, name);
      readNow.set(pid, own);
      // In the middle of an exec it is empty for a moment, which says nothing of what comes.
      if (answer.value !== "") this.#known.set(pid, { startToken, name, entry: own });
    });
    await this.#withinLimit(Promise.all(readings));
    const entries = rows.map((row) => ({
      row,
      own: readNow.has(row.pid) ? readNow.get(row.pid) : this.#before(row, name),
    }));
    return {
      found: entries.filter(({ own }) => own === entry).map(({ row }) => row),
      unread: entries.filter(({ own }) => own === undefined).map(({ row }) => row),
      isWhole: readNow.size === rows.length,
    };
  }

  /** The entry that it had when it was read last; null: none; undefined: it was not read yet. */
  #before({ pid, startToken }: ProcessIdentity, name: string): string | null | undefined {
    const known = this.#known.get(pid);
    return known?.startToken === startToken && known.name === name ? known.entry : undefined;
  }

  /** What is read later is known to the next look. */
  async #withinLimit(readings: Promise<unknown>): Promise<void> {
    const { timers, lookLimitMs } = this.#options;
    const over = new AbortController();
    try {
      await Promise.race([readings, sleep(timers, lookLimitMs, over.signal)]);
    } finally {
      over.abort();
    }
  }

  #environment({ pid, startToken }: ProcessIdentity): Promise<Environment> {
    const shared = this.#shared.get(pid);
    // One of the number's owner before says nothing of this one.
    if (shared?.startToken === startToken) return shared.reading;
    const reading = this.#options.readEnvironment({ pid, startToken }).finally(() => {
      if (this.#shared.get(pid)?.reading === reading) this.#shared.delete(pid);
    });
    this.#shared.set(pid, { startToken, reading });
    return reading;
  }

  #forgetAllBut(rows: readonly ProcessIdentity[]): void {
    if (this.#known.size === 0) return;
    const tokens = new Map(rows.map(({ pid, startToken }) => [pid, startToken]));
    for (const [pid, { startToken }] of this.#known) if (tokens.get(pid) !== startToken) this.#known.delete(pid);
  }
}

/** What cannot be read of one process says nothing of the others. What the machine lacks would have kept any from being read. */
function unread(error: unknown): Environment {
  if (lacksMeans(error)) throw error;
  return { kind: "hangs" };
}

/** A zombie's environment is empty, another user's cannot be read. */
function entryOf(environment: string | null, name: string): string | null {
  return environment?.split("\0").find((entry) => entry.startsWith(name)) ?? null;
}
