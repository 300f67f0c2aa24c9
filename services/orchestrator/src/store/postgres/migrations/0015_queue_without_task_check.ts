import type { Migration } from "@headroom/postgres";

/**
 * The tasks of old plans are deleted after their rows of the queue, in one transaction. That the database looked for such rows once more,
 * for each task and through the whole table, took longer than a statement may once a million rows are kept.
 */
export const queueWithoutTaskCheck: Migration = {
  name: "0015_queue_without_task_check",
  usableFrom: "0002_output_tail",
  up: `
ALTER TABLE pause_queue DROP CONSTRAINT pause_queue_task_id_fkey;
`,
};
