import type { World } from "./harness.ts";

/** A row of the public pause queue, as a person with SQL sees it. */
interface PauseRow {
  readonly task_id: string;
  readonly status: string;
  readonly reason: string;
  readonly resumed_at: Date | null;
  readonly last_checked: Date | null;
  readonly resume_after: Date | null;
  readonly work_plan_json: { readonly task_name: string; readonly command: { readonly argv: readonly string[] } };
}

export const pauseRowsOf = (world: World): Promise<readonly PauseRow[]> =>
  world.sql<PauseRow>(
    `SELECT task_id, status, reason, resumed_at, last_checked, resume_after, work_plan_json FROM orchestrator.pause_queue ORDER BY paused_at, pause_queue_id`,
  );
