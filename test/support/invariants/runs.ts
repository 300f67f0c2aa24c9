import { type Amounts, NO_AMOUNTS } from "@headroom/scheduling";
import type { JournalRecord } from "@headroom/agent";
import type { RunFact } from "./facts.ts";

interface Draft {
  taskId: string;
  reserved: Amounts;
  readonly fences: Set<number>;
  readonly starts: Map<string, number>;
  end: RunFact["end"];
  isAcked: boolean;
}

/** Folds the records of one agent's journal; the same record read twice (a journal is rewritten when it has grown) counts once. */
export function runsOf(agentId: string, records: Iterable<JournalRecord>): readonly RunFact[] {
  const drafts = new Map<string, Draft>();
  for (const record of records) {
    const draft = drafts.get(record.attemptId) ?? {
      taskId: "",
      reserved: NO_AMOUNTS,
      fences: new Set(),
      starts: new Map(),
      end: null,
      isAcked: false,
    };
    drafts.set(record.attemptId, draft);
    apply(draft, record);
  }
  // An attempt of which only the acknowledgement is left ran before anybody read this journal.
  return [...drafts]
    .filter(([, draft]) => draft.taskId !== "")
    .map(([attemptId, { taskId, reserved, fences, starts, end, isAcked }]) => ({
      agentId,
      attemptId,
      taskId,
      reserved,
      fences: [...fences],
      starts: [...starts].map(([process, atMs]) => ({ process, atMs })),
      end,
      isAcked,
    }));
}

function apply(draft: Draft, record: JournalRecord): void {
  switch (record.kind) {
    case "accepted":
      draft.taskId = record.taskId;
      draft.reserved = record.reserved;
      draft.fences.add(record.fence);
      return;
    case "adopted":
      draft.fences.add(record.fence);
      return;
    case "started":
      draft.starts.set(`${record.pid}/${record.startToken ?? "?"}`, record.atMs);
      return;
    case "finished": {
      const { finishedAtMs: atMs, outcome, exitCode, fence } = record;
      draft.end = { atMs, outcome, exitCode, fence };
      return;
    }
    case "acked":
      draft.isAcked = true;
      return;
  }
}
