import type { Migration } from "@headroom/postgres";

/**
 * The deadlines of all that waits are put off by the time that the queue was held: no longer all of them by the statement that releases it, so
 * each row says which releases it knows. A replica of the version before puts all of them off by itself, and leaves nothing to know.
 */
export const lateDeadlines: Migration = {
  name: "0017_late_deadlines",
  usableFrom: "0002_output_tail",
  up: `
ALTER TABLE queue_events ADD COLUMN held_since timestamptz;
COMMENT ON COLUMN queue_events.held_since IS 'Of a release: since when the queue was held, where deadlines are put off one by one; null: they need not be.';
CREATE INDEX queue_events_held ON queue_events (at) WHERE held_since IS NOT NULL;

ALTER TABLE pause_queue ADD COLUMN deadline_event bigint;
COMMENT ON COLUMN pause_queue.deadline_event IS 'The last release of the queue by which wait_deadline is put off; null: none.';
COMMENT ON COLUMN pause_queue.wait_deadline IS 'Its task fails then, or later by each hold of the queue that deadline_event does not know yet, for having waited too long; null while that does not count.';
`,
};
