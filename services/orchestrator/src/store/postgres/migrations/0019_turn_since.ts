import type { Migration } from "@headroom/postgres";

/**
 * Since when a task waits for room, where it has waited for something else before: what is told as late is late for want of room. A replica of the
 * version before writes nothing there, and its rows are told as having waited since they were paused.
 */
export const turnSince: Migration = {
  name: "0019_turn_since",
  usableFrom: "0002_output_tail",
  up: `
ALTER TABLE pause_queue ADD COLUMN turn_since timestamptz;
COMMENT ON COLUMN pause_queue.turn_since IS 'When the last of its dependencies had succeeded, or its plan was released; null: neither since paused_at.';
`,
};
