import type { Migration } from "@headroom/postgres";

/** Room that is kept for tasks too large for what is free. A replica of the version before knows nothing of it, and keeps none. */
export const roomHolds: Migration = {
  name: "0004_room_holds",
  usableFrom: "0002_output_tail",
  up: `
CREATE TABLE room_holds (
  task_id uuid PRIMARY KEY,
  agent_id uuid NOT NULL,
  granted_at timestamptz NOT NULL DEFAULT now(),
  ready_at timestamptz,
  expires_at timestamptz NOT NULL,
  times integer NOT NULL
);
COMMENT ON TABLE room_holds IS 'Agents kept for one waiting task each: what becomes free there is given to others only when they are over in time.';
COMMENT ON COLUMN room_holds.ready_at IS 'When the room is expected to be gathered; null: unknown.';
COMMENT ON COLUMN room_holds.expires_at IS 'The agent is everybody''s again then; the row goes once the task has rested as long as this lasted.';
COMMENT ON COLUMN room_holds.times IS 'How often room was kept for the task.';
`,
};
