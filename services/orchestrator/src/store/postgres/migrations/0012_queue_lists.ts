import type { Migration } from "@headroom/postgres";

/** The queue as people read it: what is tried and what is not, each in the order of the queue, so that neither walks past the other. */
export const queueLists: Migration = {
  name: "0012_queue_lists",
  usableFrom: "0002_output_tail",
  up: `
CREATE INDEX pause_queue_tried ON pause_queue (rank, pause_queue_id) WHERE status = 'waiting' AND NOT blocked;
DROP INDEX pause_queue_not_tried;
CREATE INDEX pause_queue_not_tried ON pause_queue (rank, pause_queue_id) WHERE status = 'waiting' AND blocked;
DROP INDEX pause_queue_in_order;
COMMENT ON COLUMN plans.hold_reason IS 'Why it is held, as given.';
COMMENT ON COLUMN task_durations.recent_ms IS 'The newest first, at most 16.';
`,
};
