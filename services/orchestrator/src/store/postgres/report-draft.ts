import type { AttemptState, PauseReason, TaskState } from "@headroom/scheduling";
import type { AttemptKnown, AttemptVerdict } from "../model.ts";
import type { NewEvent } from "./events.ts";
import type { AttemptRow } from "./attempt-rows.ts";
import type { Report, ReportAnswer, Told } from "./reports.ts";

/** What is to be written of one attempt. */
export interface AttemptChange {
  /** As the reports so far have made it. */
  readonly row: AttemptRow;
  /** It has been accepted: its lease counts from now. */
  runs: boolean;
  /** Epoch ms; null: not told. */
  startedAtMs: number | null;
  refusedResults: number;
  end: AttemptEnd | null;
}

export interface AttemptEnd {
  readonly attemptState: AttemptState;
  readonly told: Told;
  readonly verdict: Extract<AttemptVerdict, { readonly kind: "final" | "requeue" }>;
}

/**
 * The rows of a group of reports, and what the reports make of them, each on top of those before it. Nothing is written here.
 */
export class ReportDraft {
  readonly #changes: ReadonlyMap<string, AttemptChange>;
  /** In the order in which it happened. */
  readonly events: NewEvent[] = [];

  constructor(rows: readonly AttemptRow[]) {
    this.#changes = new Map(
      rows.map((row) => [
        row.attempt_id,
        { row, runs: false, startedAtMs: null, refusedResults: 0, end: null } satisfies AttemptChange,
      ]),
    );
  }

  get changes(): readonly AttemptChange[] {
    return [...this.#changes.values()];
  }

  apply(report: Report): ReportAnswer {
    const change = this.#changes.get(report.attempt.attemptId);
    if (change === undefined) return null;
    return report.kind === "runs" ? this.#runs(change, report) : this.#ends(change, report);
  }

  #runs(change: AttemptChange, report: Extract<Report, { readonly kind: "runs" }>): ReportAnswer {
    const { row } = change;
    const { attempt, agentId, startedAtMs } = report;
    const isOpen = row.attempt_state === "assigned" || row.attempt_state === "running";
    if (!isOpen || row.superseded || row.fence !== attempt.fence || row.agent_id !== agentId) return null;
    if (row.attempt_state === "assigned" || (startedAtMs !== null && !row.started)) {
      this.events.push({
        ...about(row),
        actor: "agent",
        kind: startedAtMs === null ? "TASK_ACCEPTED" : "TASK_STARTED",
        fromState: row.task_state,
        toState: "running",
      });
      change.runs = true;
      change.startedAtMs ??= startedAtMs;
      row.attempt_state = "running";
      row.task_state = "running";
      row.started ||= startedAtMs !== null;
    }
    return { kind: "runs", attempt: known(row) };
  }

  #ends(change: AttemptChange, report: Extract<Report, { readonly kind: "ends" }>): ReportAnswer {
    const { row } = change;
    if (!report.stillSo(row)) return null;
    const verdict = report.decide({
      attemptState: row.attempt_state,
      attemptFence: row.fence,
      superseded: row.superseded,
      taskState: row.task_state,
      taskName: row.task_name,
      cancelRequested: row.cancel_requested,
      retryOnFailure: row.retry_on_failure,
      holdUnknown: row.hold_unknown,
      maxAttempts: row.max_attempts,
      runsUsed: row.runs_used,
    });
    this.#note(change, report, verdict);
    return { kind: "ends", applied: { verdict, planId: row.plan_id, taskId: row.task_id, released: 0 } };
  }

  #note(
    change: AttemptChange,
    { told, actor }: Extract<Report, { readonly kind: "ends" }>,
    verdict: AttemptVerdict,
  ): void {
    const { row } = change;
    const event = { ...about(row), actor };
    switch (verdict.kind) {
      case "repeat":
        return;
      case "refused":
        change.refusedResults += 1;
        this.events.push({ ...event, kind: "TASK_RESULT_REFUSED", sentence: verdict.sentence });
        return;
      case "final":
        this.events.push({
          ...event,
          kind: verdict.eventKind,
          fromState: row.task_state,
          toState: verdict.taskState,
          sentence: verdict.sentence,
        });
        this.#end(change, verdict, told, verdict.taskState);
        return;
      case "requeue":
        this.events.push(
          { ...event, kind: verdict.eventKind, fromState: row.task_state, sentence: verdict.sentence },
          pausedEvent(event, row.task_state, verdict.reason, verdict.sentence),
        );
        this.#end(change, verdict, told, "paused");
    }
  }

  #end(change: AttemptChange, verdict: AttemptEnd["verdict"], told: Told, taskState: TaskState): void {
    change.end = { attemptState: verdict.attemptState, told, verdict };
    change.row.attempt_state = verdict.attemptState;
    change.row.task_state = taskState;
  }
}

function about(row: AttemptRow): Pick<NewEvent, "planId" | "taskId" | "taskName" | "attemptId" | "agentId"> {
  return {
    planId: row.plan_id,
    taskId: row.task_id,
    taskName: row.task_name,
    attemptId: row.attempt_id,
    agentId: row.agent_id,
  };
}

function pausedEvent(
  about: Omit<NewEvent, "kind">,
  fromState: TaskState,
  pauseReason: PauseReason,
  sentence: string,
): NewEvent {
  return { ...about, kind: "TASK_PAUSED", fromState, toState: "paused", pauseReason, sentence };
}

function known(row: AttemptRow): AttemptKnown {
  return {
    attemptId: row.attempt_id,
    fence: row.fence,
    taskId: row.task_id,
    planId: row.plan_id,
    agentId: row.agent_id,
    state: row.attempt_state,
    sent: !row.unsent,
    cancelRequested: row.cancel_requested,
  };
}
