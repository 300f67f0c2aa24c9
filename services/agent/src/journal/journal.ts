import type { Amounts } from "@headroom/scheduling";
import type { AttemptResult, Ending } from "../attempt.ts";

/** One line of the journal. Each names its attempt and fence, so that a lost line does not make the others worthless. */
export type JournalRecord =
  | {
      readonly kind: "accepted";
      readonly attemptId: string;
      readonly fence: number;
      readonly atMs: number;
      readonly taskId: string;
      readonly planId: string;
      readonly taskName: string;
      readonly workLeaseMs: number;
      readonly reserved: Amounts;
    }
  /** Given again under a higher fence. */
  | { readonly kind: "adopted"; readonly attemptId: string; readonly fence: number }
  /**
   * Told again once its program has ended, while its processes may not have. The field `exit` is all that is new then: a version that does not
   * know it reads the same start twice, and tells after a restart that it knows no more.
   */
  | {
      readonly kind: "started";
      readonly attemptId: string;
      readonly fence: number;
      readonly pid: number;
      /** With the pid, the identity of the process; null where it could not be told. */
      readonly startToken: string | null;
      readonly atMs: number;
      /** Absent: it runs, as far as is known. */
      readonly exit?: Ending;
    }
  | ({ readonly kind: "finished"; readonly attemptId: string; readonly fence: number } & AttemptResult)
  /** The orchestrator has the result, or refused it for good. */
  | { readonly kind: "acked"; readonly attemptId: string; readonly fence: number };

type Started = Pick<Extract<JournalRecord, { readonly kind: "started" }>, "pid" | "startToken" | "atMs" | "exit">;

/** What the journal knows of one attempt. */
export interface JournalEntry {
  readonly attemptId: string;
  readonly fence: number;
  readonly taskId: string;
  readonly planId: string;
  readonly taskName: string;
  readonly workLeaseMs: number;
  readonly reserved: Amounts;
  readonly started: Started | null;
  readonly result: AttemptResult | null;
}

/** What the journal held when it was opened. */
export interface JournalContent {
  /** Attempts that the orchestrator has not acknowledged as ended, oldest first. */
  readonly entries: readonly JournalEntry[];
  /** Attempts that were acknowledged, the newest last, bounded: a late copy of their assignment is not run again. */
  readonly ackedIds: readonly string[];
}

/** What the agent must not forget, as a port. */
export interface Journal {
  /** Reads what is there. Call once, first. */
  open(): Promise<JournalContent>;
  /**
   * Resolves when the record survives a loss of power; of a start without an exit and of an acknowledgement, when it survives the end of this program.
   * Records become durable in the order of the calls. Rejects when the disk does not take it: an acceptance or a fence does not stand
   * then; what has happened (a start, an end, an acknowledgement) is written later, before the next record.
   */
  append(record: JournalRecord): Promise<void>;
  /** Idempotent; waits for what was appended before. */
  close(): Promise<void>;
}
