import type { Journal, JournalRecord } from "./journal.ts";
import { journalContent } from "./journal-state.ts";

/** A journal that outlives its agent but not the process: for simulations and tests. Give the same one to the next agent. */
export interface MemoryJournal extends Journal {
  readonly records: readonly JournalRecord[];
}

export function memoryJournal(): MemoryJournal {
  const records: JournalRecord[] = [];
  return {
    records,
    open: () => Promise.resolve(journalContent(records)),
    append(record) {
      records.push(record);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
