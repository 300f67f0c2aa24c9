import type { Migration } from "@headroom/postgres";

/** The first shape of schema `orchestrator`. `pause_queue` is a public contract (R-PAUSE-4): its columns keep their names. */
export const initial: Migration = {
  name: "0001_initial",
  up: `
CREATE TABLE plans (
  plan_id uuid PRIMARY KEY,
  name text NOT NULL,
  namespace text NOT NULL,
  priority integer NOT NULL,
  labels jsonb NOT NULL,
  request_id uuid UNIQUE,
  request_hash text NOT NULL,
  total_tasks integer NOT NULL,
  unfinished_tasks integer NOT NULL,
  outcome text CHECK (outcome IN ('succeeded', 'failed', 'cancelled')),
  cancel_requested_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz
);
CREATE INDEX plans_newest ON plans (created_at DESC, plan_id DESC);
COMMENT ON TABLE plans IS 'Work that was accepted. Its status is a reading of its tasks; this row is locked first by whatever changes one of them, so that events of a plan are numbered in the order in which they were committed.';
COMMENT ON COLUMN plans.request_id IS 'The caller''s idempotency key; null when none was given.';
COMMENT ON COLUMN plans.request_hash IS 'SHA-256 of the plan as given: the same request_id with another plan is refused.';
COMMENT ON COLUMN plans.unfinished_tasks IS 'Tasks that are neither succeeded, failed nor cancelled.';
COMMENT ON COLUMN plans.outcome IS 'How it ended; null before.';

CREATE TABLE tasks (
  task_id uuid PRIMARY KEY,
  plan_id uuid NOT NULL REFERENCES plans,
  name text NOT NULL,
  position integer NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'paused', 'reserved', 'assigned', 'running', 'succeeded', 'failed', 'cancelled', 'lost')),
  priority integer NOT NULL,
  needs jsonb NOT NULL,
  shape_key text NOT NULL,
  uses_gpu boolean NOT NULL,
  command jsonb NOT NULL,
  resume_after timestamptz,
  depends_remaining integer NOT NULL,
  max_attempts integer NOT NULL,
  retry_on_failure boolean NOT NULL,
  run_timeout_ms bigint,
  work_lease_ms bigint NOT NULL,
  expected_duration_ms bigint,
  attempts_made integer NOT NULL DEFAULT 0,
  runs_used integer NOT NULL DEFAULT 0,
  attempt_id uuid,
  placing_attempt_id uuid,
  fence bigint NOT NULL DEFAULT 0,
  claim_owner uuid,
  claim_expires_at timestamptz,
  cancel_requested_at timestamptz,
  outcome_reason text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  UNIQUE (plan_id, name)
) WITH (fillfactor = 80);
CREATE INDEX tasks_of_plan ON tasks (plan_id, position);
CREATE INDEX tasks_newest ON tasks (created_at DESC, task_id DESC);
CREATE INDEX tasks_claims ON tasks (claim_expires_at) WHERE state = 'pending' OR (state = 'paused' AND claim_expires_at IS NOT NULL);
COMMENT ON TABLE tasks IS 'One command with its needs. The states and what moves between them: TASK_TABLE in libs/scheduling.';
COMMENT ON COLUMN tasks.needs IS 'What it needs of one agent: millicores, MiB.';
COMMENT ON COLUMN tasks.shape_key IS 'Canonical text of the needs: equal keys fit in the same places.';
COMMENT ON COLUMN tasks.command IS 'Program, arguments, environment and folder.';
COMMENT ON COLUMN tasks.depends_remaining IS 'Tasks it depends on that have not succeeded yet.';
COMMENT ON COLUMN tasks.attempts_made IS 'Attempts recorded, those that never reached an agent included.';
COMMENT ON COLUMN tasks.runs_used IS 'Attempts that count against max_attempts: those that may have run.';
COMMENT ON COLUMN tasks.attempt_id IS 'The newest attempt recorded; a result of any other is refused.';
COMMENT ON COLUMN tasks.placing_attempt_id IS 'Id of the attempt being placed: kept when another replica takes the claim over, so that what was promised to it is found again.';
COMMENT ON COLUMN tasks.fence IS 'Grows with every claim; whoever holds a lower one has been superseded.';
COMMENT ON COLUMN tasks.claim_owner IS 'The orchestrator process that places it at the moment.';
COMMENT ON COLUMN tasks.claim_expires_at IS 'From then on any replica may take the claim over.';

CREATE TABLE task_dependencies (
  task_id uuid NOT NULL REFERENCES tasks,
  depends_on_task_id uuid NOT NULL REFERENCES tasks,
  PRIMARY KEY (task_id, depends_on_task_id)
);
CREATE INDEX task_dependents ON task_dependencies (depends_on_task_id);
COMMENT ON TABLE task_dependencies IS 'task_id starts only after depends_on_task_id has succeeded.';

CREATE TABLE attempts (
  attempt_id uuid PRIMARY KEY,
  task_id uuid NOT NULL REFERENCES tasks,
  plan_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  number integer NOT NULL,
  fence bigint NOT NULL,
  state text NOT NULL CHECK (state IN ('assigned', 'running', 'succeeded', 'failed', 'cancelled', 'lost', 'undelivered')),
  reserved jsonb NOT NULL,
  card_indexes jsonb NOT NULL,
  work_lease_ms bigint NOT NULL,
  assigned_at timestamptz NOT NULL DEFAULT now(),
  reservation_expires_at timestamptz NOT NULL,
  sent_at timestamptz,
  accepted_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  lease_expires_at timestamptz NOT NULL,
  cancel_sent_at timestamptz,
  exit_code integer,
  signal text NOT NULL DEFAULT '',
  reason text NOT NULL DEFAULT '',
  sentence text NOT NULL DEFAULT '',
  used jsonb,
  refused_results integer NOT NULL DEFAULT 0,
  output_last_seq bigint NOT NULL DEFAULT 0,
  output_bytes bigint NOT NULL DEFAULT 0,
  output_dropped_bytes bigint NOT NULL DEFAULT 0,
  UNIQUE (task_id, number)
) WITH (fillfactor = 70);
CREATE INDEX attempts_open ON attempts (agent_id) WHERE state IN ('assigned', 'running');
CREATE INDEX attempts_lease ON attempts (lease_expires_at) WHERE state IN ('assigned', 'running');
CREATE INDEX attempts_undelivered ON attempts (assigned_at) WHERE state = 'assigned';
COMMENT ON TABLE attempts IS 'One run of a task on one agent.';
COMMENT ON COLUMN attempts.fence IS 'Fence of the claim that made it; a result under another is refused.';
COMMENT ON COLUMN attempts.reserved IS 'What the registry promised: millicores, MiB, cards.';
COMMENT ON COLUMN attempts.reservation_expires_at IS 'The promise lasts until then; renewed until the agent has answered.';
COMMENT ON COLUMN attempts.sent_at IS 'When it was last written to the agent''s stream. Null: it certainly never was, and may be given to another agent.';
COMMENT ON COLUMN attempts.lease_expires_at IS 'The agent ends the work by itself then. 30 s later the attempt counts as lost.';
COMMENT ON COLUMN attempts.reason IS 'Why it ended as it did: EXITED, TIMED_OUT, LEASE_EXPIRED, ...';
COMMENT ON COLUMN attempts.refused_results IS 'Results that came after it had been given up.';
COMMENT ON COLUMN attempts.output_dropped_bytes IS 'Output beyond what is kept per attempt.';

CREATE TABLE pause_queue (
  pause_queue_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  task_id uuid NOT NULL REFERENCES tasks,
  plan_id uuid NOT NULL,
  work_plan_json jsonb NOT NULL,
  paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  resume_after timestamptz,
  status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'resumed', 'cancelled', 'failed')),
  resumed_at timestamptz,
  last_checked timestamptz,
  reason text NOT NULL,
  reason_detail text NOT NULL DEFAULT '',
  blocked boolean NOT NULL,
  priority integer NOT NULL,
  shape_key text NOT NULL,
  uses_gpu boolean NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX pause_queue_one_waiting ON pause_queue (task_id) WHERE status = 'waiting';
CREATE INDEX pause_queue_order ON pause_queue (priority DESC, paused_at, pause_queue_id) WHERE status = 'waiting' AND NOT blocked;
CREATE INDEX pause_queue_shape ON pause_queue (shape_key, priority DESC, paused_at) WHERE status = 'waiting' AND NOT blocked;
CREATE INDEX pause_queue_resume_after ON pause_queue (resume_after) WHERE status = 'waiting' AND NOT blocked AND resume_after IS NOT NULL;
CREATE INDEX pause_queue_of_plan ON pause_queue (plan_id);
COMMENT ON TABLE pause_queue IS 'Work that waits, and work that waited: one row each time a task is paused.';
COMMENT ON COLUMN pause_queue.work_plan_json IS 'The task''s part of its plan, complete.';
COMMENT ON COLUMN pause_queue.resume_after IS 'Not before this time; null: at once.';
COMMENT ON COLUMN pause_queue.status IS 'waiting; resumed: given to an agent; cancelled; failed.';
COMMENT ON COLUMN pause_queue.last_checked IS 'When room was last looked for.';
COMMENT ON COLUMN pause_queue.reason IS 'Why it waits, a stable word.';
COMMENT ON COLUMN pause_queue.reason_detail IS 'Why it waits, for a person.';
COMMENT ON COLUMN pause_queue.blocked IS 'Waits for a dependency or an operator: looking for room would not help.';

CREATE TABLE events (
  event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  plan_id uuid NOT NULL,
  task_id uuid,
  task_name text NOT NULL DEFAULT '',
  attempt_id uuid,
  agent_id uuid,
  kind text NOT NULL,
  from_state text,
  to_state text,
  pause_reason text,
  sentence text NOT NULL DEFAULT '',
  actor text NOT NULL
);
CREATE INDEX events_of_plan ON events (plan_id, event_id);
COMMENT ON TABLE events IS 'Every step in the life of plans, tasks, attempts and queue entries. Only ever added to.';
COMMENT ON COLUMN events.kind IS 'PLAN_ACCEPTED, TASK_PAUSED, TASK_RESUMED, TASK_ASSIGNED, TASK_ACCEPTED, TASK_STARTED, TASK_SUCCEEDED, ...';
COMMENT ON COLUMN events.actor IS 'Who caused it: planner, operator, resume-loop, agent, orchestrator.';

CREATE TABLE task_output (
  attempt_id uuid NOT NULL,
  seq bigint NOT NULL,
  stream text NOT NULL CHECK (stream IN ('stdout', 'stderr', 'headroom')),
  at timestamptz NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (attempt_id, seq)
);
COMMENT ON TABLE task_output IS 'What attempts wrote, in pieces, up to a bound per attempt.';
`,
};
