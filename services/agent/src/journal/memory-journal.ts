import type { Journal, JournalRecord } from "./journal.ts";
import { JournalState } from "./journal-state.ts";

/** A journal that outlives its agent but not the process: for simulations and tests. Give the same one to the next agent. */
export interface MemoryJournal extends Journal {
  readonly records: readonly JournalRecord[];
}

export function memoryJournal(): MemoryJournal {
  const records: JournalRecord[] = [];
  return {
    records,
    open() {
      const state = new JournalState();
      for (const record of records) state.apply(record);
      return Promise.resolve(state.content());
    },
    append(record) {
      records.push(record);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
