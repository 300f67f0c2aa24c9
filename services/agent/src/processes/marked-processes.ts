import type { BoundedRead } from "../bounded-reads.ts";
import type { ProcessRow } from "./process-table.ts";

export interface MarkedProcessesOptions {
  /** Processes that have an environment. */
  list(): readonly Pick<ProcessRow, "pid" | "startToken">[];
  /** Entries parted by NUL; null: there is none, or it is not this user's to read. */
  readEnvironment(pid: number): Promise<BoundedRead<string | null>>;
}

export interface FoundMarks {
  readonly pids: readonly number[];
  /** False: some processes could not be read, and are told by what they were known to carry before. */
  readonly isWhole: boolean;
}

/** Finds processes by an entry of their environment, and knows those again that cannot be read any more. */
export class MarkedProcesses {
  readonly #options: MarkedProcessesOptions;
  /** The entry by which a process was found last. */
  readonly #known = new Map<number, { readonly startToken: string; readonly entry: string }>();
  /** Readings under way or waiting, by pid: looks that come together share them. */
  readonly #shared = new Map<number, Promise<BoundedRead<string | null>>>();

  constructor(options: MarkedProcessesOptions) {
    this.#options = options;
  }

  async find(entry: string): Promise<FoundMarks> {
    const rows = this.#options.list();
    this.#forgetAllBut(rows);
    const wanted = `\0${entry}\0`;
    let isWhole = true;
    const found = await Promise.all(
      rows.map(async ({ pid, startToken }) => {
        const known = this.#known.get(pid);
        const answer = await this.#environment(pid);
        if (answer.kind === "hangs") {
          isWhole = false;
          return known?.startToken === startToken && known.entry === entry;
        }
        // A zombie's environment is empty, another user's cannot be read.
        const isMarked = answer.value !== null && `\0${answer.value}\0`.includes(wanted);
        if (isMarked) this.#known.set(pid, { startToken, entry });
        return isMarked;
      }),
    );
    return { pids: rows.flatMap(({ pid }, index) => (found[index] === true ? [pid] : [])), isWhole };
  }

  #environment(pid: number): Promise<BoundedRead<string | null>> {
    const shared = this.#shared.get(pid);
    if (shared !== undefined) return shared;
    const reading = this.#options.readEnvironment(pid).finally(() => this.#shared.delete(pid));
    this.#shared.set(pid, reading);
    return reading;
  }

  #forgetAllBut(rows: readonly Pick<ProcessRow, "pid" | "startToken">[]): void {
    if (this.#known.size === 0) return;
    const tokens = new Map(rows.map(({ pid, startToken }) => [pid, startToken]));
    for (const [pid, { startToken }] of this.#known) if (tokens.get(pid) !== startToken) this.#known.delete(pid);
  }
}
