import type { Migration } from "@headroom/postgres";

/** What operators do (hold, release, retry), how long a task may wait, what caused an event, what was learned of durations. */
export const operating: Migration = {
  name: "0010_operating",
  usableFrom: "0002_output_tail",
  up: `
ALTER TABLE plans
  ADD COLUMN held_at timestamptz,
  ADD COLUMN held_by text NOT NULL DEFAULT '',
  ADD COLUMN hold_reason text NOT NULL DEFAULT '',
  ADD COLUMN traceparent text NOT NULL DEFAULT '',
  ADD COLUMN events_trimmed_through bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN plans.held_at IS 'Since when an operator keeps its waiting tasks from starting; null: nobody does.';
COMMENT ON COLUMN plans.held_by IS 'Who, as given: a name for people.';
COMMENT ON COLUMN plans.traceparent IS 'W3C traceparent of the call that handed it over; empty when there was none.';
COMMENT ON COLUMN plans.events_trimmed_through IS 'Its events up to this one have been deleted by retention; 0: none.';

ALTER TABLE tasks
  ADD COLUMN wait_timeout_ms bigint,
  ADD COLUMN outcome_code text NOT NULL DEFAULT '';
COMMENT ON COLUMN tasks.wait_timeout_ms IS 'Longest time it may wait for room, each time it waits; null: no limit.';
COMMENT ON COLUMN tasks.outcome_code IS 'Why it ended, a stable word where no attempt says it: WAIT_TIMED_OUT, DEPENDENCY_NOT_MET.';
COMMENT ON COLUMN tasks.expected_duration_ms IS 'How long it is expected to run: as declared, else as learned; null: unknown.';

ALTER TABLE pause_queue ADD COLUMN wait_deadline timestamptz;
COMMENT ON COLUMN pause_queue.wait_deadline IS 'Its task fails then for having waited too long; null while that does not count.';
CREATE INDEX pause_queue_wait_deadline ON pause_queue (wait_deadline) WHERE status = 'waiting' AND wait_deadline IS NOT NULL;
CREATE INDEX pause_queue_not_tried ON pause_queue (priority DESC, paused_at, pause_queue_id) WHERE status = 'waiting' AND blocked;

ALTER TABLE events
  ADD COLUMN request_id text NOT NULL DEFAULT '',
  ADD COLUMN traceparent text NOT NULL DEFAULT '';
COMMENT ON COLUMN events.request_id IS 'The call that caused it, as in the logs; empty when no call did.';
COMMENT ON COLUMN events.traceparent IS 'W3C traceparent of that call; empty when it carried none.';

CREATE TABLE queue_hold (
  is_held boolean PRIMARY KEY DEFAULT true CHECK (is_held),
  reason text NOT NULL,
  held_by text NOT NULL,
  held_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE queue_hold IS 'One row while an operator holds the whole queue, none otherwise.';

CREATE TABLE queue_events (
  event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind text NOT NULL CHECK (kind IN ('QUEUE_HELD', 'QUEUE_RELEASED')),
  reason text NOT NULL,
  by text NOT NULL,
  request_id text NOT NULL DEFAULT ''
);
COMMENT ON TABLE queue_events IS 'Holds and releases of the whole queue. Only ever added to.';

CREATE TABLE retry_requests (
  request_id uuid PRIMARY KEY,
  plan_id uuid NOT NULL REFERENCES plans ON DELETE CASCADE,
  retried_tasks integer NOT NULL,
  restored_tasks integer NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX retry_requests_of_plan ON retry_requests (plan_id);
COMMENT ON TABLE retry_requests IS 'Idempotency keys of RetryPlan, each with its answer.';

CREATE TABLE task_durations (
  plan_name text NOT NULL,
  task_name text NOT NULL,
  recent_ms bigint[] NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (plan_name, task_name)
);
CREATE INDEX task_durations_oldest ON task_durations (updated_at);
COMMENT ON TABLE task_durations IS 'How long tasks of these names took when they succeeded, the newest first; task_name '''' is all tasks of the plan''s name.';
`,
};
