import type { Amounts } from "@headroom/scheduling";
import type { JournalContent, JournalEntry, JournalRecord } from "./journal.ts";

/** More acknowledged attempts than this are forgotten; a copy of an assignment comes seconds late, not thousands of tasks late. */
export const maxAckedIds = 2_000;

const nothing: Amounts = { cpuMillicores: 0, memoryMib: 0, cards: [] };
const defaultWorkLeaseMs = 300_000;

/** Folds records into what is known. Tolerates a missing beginning: what follows still says which processes to end. */
export class JournalState {
  readonly #entries = new Map<string, JournalEntry>();
  readonly #acked = new Set<string>();

  apply(record: JournalRecord): void {
    const { attemptId } = record;
    const known = this.#entries.get(attemptId) ?? emptyEntry(attemptId);
    const fence = Math.max(known.fence, record.fence);
    // Told after it was over: written late, once the disk had room again.
    const isOver = this.#acked.has(attemptId) && !this.#entries.has(attemptId);
    if (isOver && (record.kind === "started" || record.kind === "finished")) return;
    switch (record.kind) {
      case "accepted": {
        const { taskId, planId, taskName, workLeaseMs, reserved } = record;
        this.#entries.set(attemptId, { ...known, fence, taskId, planId, taskName, workLeaseMs, reserved });
        return;
      }
      case "adopted":
        this.#entries.set(attemptId, { ...known, fence });
        return;
      case "started": {
        const { pid, startToken, atMs, exit = known.started?.exit } = record;
        const started = { pid, startToken, atMs, ...(exit === undefined ? {} : { exit }) };
        this.#entries.set(attemptId, { ...known, fence, started });
        return;
      }
      case "finished": {
        const { kind: _kind, attemptId: _id, fence: _fence, ...result } = record;
        this.#entries.set(attemptId, { ...known, fence, result });
        return;
      }
      case "acked":
        this.#entries.delete(attemptId);
        this.#acked.delete(attemptId);
        this.#acked.add(attemptId);
        this.#forgetOldest();
        return;
    }
  }

  content(): JournalContent {
    return { entries: [...this.#entries.values()], ackedIds: [...this.#acked] };
  }

  /** The fewest records that say the same. */
  records(): readonly JournalRecord[] {
    const acked = [...this.#acked].map((attemptId): JournalRecord => ({ kind: "acked", attemptId, fence: 0 }));
    return [...acked, ...[...this.#entries.values()].flatMap(recordsOf)];
  }

  /** How many records that are. */
  get size(): number {
    let size = this.#acked.size;
    for (const { started, result } of this.#entries.values())
      size += 1 + (started === null ? 0 : 1) + (result === null ? 0 : 1);
    return size;
  }

  #forgetOldest(): void {
    for (const attemptId of this.#acked) {
      if (this.#acked.size <= maxAckedIds) return;
      this.#acked.delete(attemptId);
    }
  }
}

function emptyEntry(attemptId: string): JournalEntry {
  return {
    attemptId,
    fence: 0,
    taskId: "",
    planId: "",
    taskName: "",
    workLeaseMs: defaultWorkLeaseMs,
    reserved: nothing,
    started: null,
    result: null,
  };
}

function recordsOf(entry: JournalEntry): readonly JournalRecord[] {
  const { attemptId, fence, taskId, planId, taskName, workLeaseMs, reserved, started, result } = entry;
  const records: JournalRecord[] = [
    { kind: "accepted", attemptId, fence, atMs: started?.atMs ?? 0, taskId, planId, taskName, workLeaseMs, reserved },
  ];
  if (started !== null) records.push({ kind: "started", attemptId, fence, ...started });
  if (result !== null) records.push({ kind: "finished", attemptId, fence, ...result });
  return records;
}

/** What a journal of these records holds. */
export function journalContent(records: Iterable<JournalRecord>): JournalContent {
  const state = new JournalState();
  for (const record of records) state.apply(record);
  return state.content();
}
