import type { Migration } from "@headroom/postgres";

/**
 * After a release the deadlines of what waits are put off in portions. A replica of the version before knows nothing of that, and would fail what
 * seems to be late meanwhile: for it the queue stays held that long, by a row that is no hold (`is_held` false), which it does not tell from one.
 * And whether the queue is held can be asked in the middle of a statement, as it is at that moment and not as it was when the statement began.
 */
export const queueReleasing: Migration = {
  name: "0018_queue_releasing",
  usableFrom: "0002_output_tail",
  up: `
ALTER TABLE queue_hold DROP CONSTRAINT queue_hold_is_held_check;
ALTER TABLE queue_hold ADD COLUMN released_event bigint;
COMMENT ON TABLE queue_hold IS 'A row with is_held while an operator holds the whole queue; one without while deadlines are put off after a release.';
COMMENT ON COLUMN queue_hold.released_event IS 'Where it is not held: the release after which deadlines are put off.';

CREATE FUNCTION queue_is_held() RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT EXISTS (SELECT FROM queue_hold WHERE is_held)';
COMMENT ON FUNCTION queue_is_held IS 'As it is now: volatile, so it does not see with the eyes of the statement that calls it.';
`,
};
