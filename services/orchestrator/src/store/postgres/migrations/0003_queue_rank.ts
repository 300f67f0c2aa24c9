import type { Migration } from "@headroom/postgres";

/**
 * The place in the queue as one number that never changes, so that an index keeps the order while priorities age; and rows
 * whose time has not come apart from those that may be tried, so that whoever looks for work never walks past them.
 * A replica of the version before goes on: it writes rows with the defaults.
 */
export const queueRank: Migration = {
  name: "0003_queue_rank",
  usableFrom: "0002_output_tail",
  up: `
ALTER TABLE tasks ADD COLUMN rank double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp());
COMMENT ON COLUMN tasks.rank IS 'Place in the queue, the lowest first: when it was accepted, in seconds, less the head start that its priority gives. Ages with the clock: nothing has to be written.';
UPDATE tasks SET rank = extract(epoch FROM created_at) + position * 1e-6 - priority * 600.0
 WHERE state NOT IN ('succeeded', 'failed', 'cancelled');

ALTER TABLE pause_queue
  ADD COLUMN rank double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp()),
  ADD COLUMN later boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN pause_queue.rank IS 'The task''s place in the queue, the lowest first.';
COMMENT ON COLUMN pause_queue.later IS 'Its resume_after lay ahead when somebody last looked.';
UPDATE pause_queue q SET rank = t.rank, later = coalesce(q.resume_after > now(), false)
  FROM tasks t WHERE t.task_id = q.task_id AND q.status = 'waiting';

DROP INDEX pause_queue_order;
DROP INDEX pause_queue_shape;
DROP INDEX pause_queue_resume_after;
CREATE INDEX pause_queue_heads ON pause_queue (shape_key, rank, pause_queue_id) WHERE status = 'waiting' AND NOT blocked AND NOT later;
CREATE INDEX pause_queue_in_order ON pause_queue (rank, pause_queue_id) WHERE status = 'waiting';
CREATE INDEX pause_queue_later ON pause_queue (resume_after) WHERE status = 'waiting' AND NOT blocked AND later;
`,
};
