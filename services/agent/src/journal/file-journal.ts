import { readFile } from "node:fs/promises";
import {
  type DurableLog,
  errorCode,
  type Logger,
  openDurableLog,
  sleep,
  type Timers,
  writeFileAtomic,
} from "@headroom/runtime";
import type { Journal, JournalRecord } from "./journal.ts";
import { JournalState } from "./journal-state.ts";
import { readRecord } from "./read-record.ts";

/** How the journal touches the disk; the default is the real one. */
export interface JournalFiles {
  /** null: no such file. */
  read(path: string): Promise<string | null>;
  /** Replaces a file as a whole, durably. */
  replace(path: string, text: string): Promise<void>;
  openLog(path: string): Promise<DurableLog>;
}

export interface FileJournalOptions {
  readonly path: string;
  readonly logger: Logger;
  readonly timers: Timers;
  readonly files?: JournalFiles;
  /** Lines after which the file is rewritten without what is no longer needed. Default 5,000 (about 1.5 MB). */
  readonly compactAfterLines?: number;
}

const defaultCompactAfterLines = 5_000;
const countEveryLines = 100;
/** Nothing new is taken while the journal cannot be written, so that there is little to owe; a bound all the same. */
const maxOwed = 10_000;
const writeOwedEveryMs = 1_000;

/**
 * What a record has to outlive. A start names processes, which a loss of power ends too, though not how they ended before; of a result that was
 * acknowledged and is told again the orchestrator says so.
 */
function placeOf(record: JournalRecord): "disk" | "system" {
  switch (record.kind) {
    case "accepted":
    case "adopted":
    case "finished":
      return "disk";
    case "started":
      return record.exit === undefined ? "system" : "disk";
    case "acked":
      return "system";
  }
}

/** What has happened, whether or not it could be written down; the others are answers that were not given then. */
function hasHappened({ kind }: JournalRecord): boolean {
  return kind !== "accepted" && kind !== "adopted";
}

/**
 * The journal as a file of JSON lines (0600): appended, with fsync where a loss of power matters, rewritten at the start and when it has
 * grown. What happened while the disk was full is tried again each second, and written before the next record.
 */
export function fileJournal(options: FileJournalOptions): Journal {
  const { path, logger, timers, files = realFiles, compactAfterLines = defaultCompactAfterLines } = options;
  const state = new JournalState();
  let isOpen = false;
  /** undefined: not opened yet, or a rewrite failed and so did opening the file again; the next append tries to. */
  let log: DurableLog | undefined;
  let opening: Promise<DurableLog> | undefined;
  let owed: JournalRecord[] = [];
  let writingOwed: Promise<void> | undefined;
  const closing = new AbortController();
  let lines = 0;
  let countAtLines = compactAfterLines;
  let compacting: Promise<void> | undefined;
  let closed: Promise<void> | undefined;

  async function rewrite(): Promise<void> {
    const records = state.records();
    await files.replace(path, records.map(lineOf).join(""));
    lines = records.length;
    countAtLines = compactAfterLines;
    await openLog();
  }

  /** Appends made meanwhile wait for it. When it fails, the old file goes on. Never rejects. */
  async function compact(): Promise<void> {
    const old = log;
    log = undefined;
    try {
      await old?.close();
      await rewrite();
    } catch (error) {
      logger.warn({ err: error, path }, "the journal could not be shortened; it goes on as it is");
      lines = 0;
      countAtLines = compactAfterLines;
    }
  }

  /** The log, opened if there is none. Appends made at once share one opening. */
  function openedLog(): Promise<DurableLog> {
    if (log !== undefined) return Promise.resolve(log);
    opening ??= openLog().finally(() => {
      opening = undefined;
    });
    return opening;
  }

  async function openLog(): Promise<DurableLog> {
    log = await files.openLog(path);
    return log;
  }

  /** What is needed is only counted now and then. */
  function isLong(): boolean {
    if (lines < countAtLines) return false;
    if (lines > 4 * state.size) return true;
    countAtLines = lines + countEveryLines;
    return false;
  }

  /** Resolves when no rewrite is under way; another may have begun while one was waited for. */
  async function compacted(): Promise<void> {
    if (compacting === undefined) return;
    await compacting;
    await compacted();
  }

  return {
    async open() {
      const text = await files.read(path);
      const read = readJournal(text ?? "", state);
      if (read.tornTail) logger.info({ path }, "the journal's last line was torn by a crash; nobody was told of it");
      if (read.damagedLines.length > 0 && text !== null) await keepDamaged(text, read.damagedLines);
      // On a full disk the old file is good enough.
      await compact();
      await openedLog();
      isOpen = true;
      return state.content();
    },
    async append(record) {
      await compacted();
      if (!isOpen || closed !== undefined) throw new Error(`the journal ${path} is not open`);
      await write(record);
      if (isLong() && compacting === undefined && closed === undefined)
        compacting = compact().finally(() => {
          compacting = undefined;
        });
      await compacting;
    },
    close() {
      closing.abort();
      closed ??= (compacting ?? Promise.resolve()).then(async () => {
        await writingOwed;
        if (isOpen && owed.length > 0) await write().catch(sayOwed);
        await opening?.catch(() => undefined);
        await log?.close();
      });
      return closed;
    },
  };

  async function write(...records: readonly JournalRecord[]): Promise<void> {
    const owes = owed.length > 0;
    const all = [...owed, ...records];
    owed = [];
    const where = all.some((record) => placeOf(record) === "disk") ? "disk" : "system";
    lines += all.length;
    try {
      const to = log ?? (await openedLog());
      await to.append(all.map(lineOf).join(""), where);
    } catch (error) {
      owed = [...owed, ...all.filter(hasHappened)].slice(-maxOwed);
      if (owed.length > 0) writingOwed ??= writeOwed();
      throw error;
    }
    if (owes) logger.info({ path }, "the journal can be written again, and has what happened meanwhile");
    // Only what is durable may survive a rewrite.
    for (const record of all) state.apply(record);
  }

  /** An agent that is given nothing more would owe it until it ends, and a loss of power would take it. Never rejects. */
  async function writeOwed(): Promise<void> {
    while (owed.length > 0) {
      await sleep(timers, writeOwedEveryMs, closing.signal).catch(() => undefined);
      await compacted();
      if (closing.signal.aborted) return;
      if (owed.length > 0) await write().catch(() => undefined);
    }
    writingOwed = undefined;
  }

  function sayOwed(error: unknown): void {
    logger.error(
      { err: error, path, records: owed.length },
      "what happened last could not be written into the journal",
    );
  }

  async function keepDamaged(text: string, damagedLines: readonly number[]): Promise<void> {
    const kept = `${path}.damaged`;
    await files.replace(kept, text);
    const shown = damagedLines.slice(0, 20).join(", ");
    logger.error(
      { path, kept, lines: damagedLines.slice(0, 20) },
      `the journal is damaged in ${damagedLines.length} line(s) (${shown}); the others count, the damaged file is kept as ${kept}`,
    );
  }
}

interface ReadJournal {
  readonly tornTail: boolean;
  /** Numbers from 1 of the lines that are no records, the torn last one not among them. */
  readonly damagedLines: readonly number[];
}

function readJournal(text: string, state: JournalState): ReadJournal {
  const lines = text.split("\n");
  // Behind the last newline stands nothing, or what a crash left of the last record. It was never answered for: the fsync
  // comes after the newline.
  const tail = lines.pop() ?? "";
  const damagedLines: number[] = [];
  for (const [index, line] of lines.entries()) {
    if (line === "") continue;
    const record = readRecord(line);
    if (record === null) damagedLines.push(index + 1);
    else state.apply(record);
  }
  return { tornTail: tail !== "", damagedLines };
}

function lineOf(record: JournalRecord): string {
  return `${JSON.stringify(record)}\n`;
}

const realFiles: JournalFiles = {
  async read(path) {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (errorCode(error) === "ENOENT") return null;
      throw error;
    }
  },
  replace: (path, text) => writeFileAtomic(path, text),
  openLog: (path) => openDurableLog(path),
};
