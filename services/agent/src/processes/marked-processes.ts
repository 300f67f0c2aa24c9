import { sleep, type Clock, type Timers } from "@headroom/runtime";
import type { BoundedRead } from "../bounded-reads.ts";
import { lacksMeans } from "./lacks-means.ts";
import type { MarkedLook, ProcessIdentity } from "./process-table.ts";
import { SharedLook } from "./shared-look.ts";

export interface MarkedProcessesOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Longest that one look takes, however many processes there are. */
  readonly lookLimitMs: number;
  /** Processes that have an environment. */
  list(): Promise<readonly ProcessIdentity[]>;
  /** Entries parted by NUL; null: there is none, or it is not this user's to read. Rejects where that cannot be told. */
  readEnvironment(identity: ProcessIdentity): Promise<BoundedRead<string | null>>;
}

export interface MarksFound extends MarkedLook {
  /** Each process was read. */
  readonly isWhole: boolean;
}

/** One look at all processes, for entries of one name. */
interface Look {
  /** By the entry that they carry. */
  readonly carriers: ReadonlyMap<string, readonly ProcessIdentity[]>;
  readonly unread: readonly ProcessIdentity[];
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
  /** By name; there is one in practice. */
  readonly #looks = new Map<string, SharedLook<Look>>();
  /** What was read of a process last. */
  readonly #known = new Map<number, Known>();
  /** Readings under way or waiting, by pid: those that outlast their look are shared with the next. */
  readonly #shared = new Map<number, { readonly startToken: string; readonly reading: Promise<Environment> }>();

  constructor(options: MarkedProcessesOptions) {
    this.#options = options;
  }

  /** `unread` are all that nothing is known of. Whoever asks before a look begins shares it, whatever entry of that name he looks for. */
  async find(entry: string): Promise<MarksFound> {
    const { carriers, unread: nothingKnown, isWhole } = await this.#looksFor(nameOf(entry)).ask();
    return { found: carriers.get(entry) ?? [], unread: nothingKnown, isWhole };
  }

  #looksFor(name: string): SharedLook<Look> {
    const known = this.#looks.get(name);
    if (known !== undefined) return known;
    const { clock, timers } = this.#options;
    const looks = new SharedLook({ clock, timers, look: () => this.#look(name) });
    this.#looks.set(name, looks);
    return looks;
  }

  async #look(name: string): Promise<Look> {
    const rows = await this.#options.list();
    this.#forgetAllBut(rows);
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
    const carriers = new Map<string, ProcessIdentity[]>();
    const nothingKnown: ProcessIdentity[] = [];
    for (const row of rows) {
      const own = readNow.has(row.pid) ? readNow.get(row.pid) : this.#before(row, name);
      if (own === undefined) nothingKnown.push(row);
      if (own === undefined || own === null) continue;
      const others = carriers.get(own);
      if (others === undefined) carriers.set(own, [row]);
      else others.push(row);
    }
    return { carriers, unread: nothingKnown, isWhole: readNow.size === rows.length };
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

/** With its "=". */
function nameOf(entry: string): string {
  return entry.slice(0, entry.indexOf("=") + 1);
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
