/** What flap damping, drains with a deadline and the confirmation of losses keep. */
import type { Migration } from "@headroom/postgres";

const flapsSql = `
ALTER TABLE agent_liveness
  ADD COLUMN flaps integer NOT NULL DEFAULT 0,
  ADD COLUMN last_flap_at timestamptz,
  ADD COLUMN probation_until timestamptz;
COMMENT ON COLUMN agent_liveness.flaps IS 'Unannounced losses of its heartbeat, as counted when the last one came; one is forgotten in five minutes of calm.';
COMMENT ON COLUMN agent_liveness.last_flap_at IS 'When the last one came.';
COMMENT ON COLUMN agent_liveness.probation_until IS 'Until when it is not offered to work, having flapped too often; null: it is.';`;

const drainSql = `
ALTER TABLE agents ADD COLUMN drain_deadline timestamptz;
COMMENT ON COLUMN agents.drain_deadline IS 'When what still runs there is to be stopped; null without a drain, and for one that waits without end.';`;

const lossesSql = `
ALTER TABLE replicas ADD COLUMN losses_confirmed_at timestamptz;
COMMENT ON COLUMN replicas.losses_confirmed_at IS 'When an operator last confirmed that the agents kept from going offline are really gone.';`;

// With it a sample is one row written and not two: a quiet fleet writes one row per agent and minute.
const samplesSql = `
ALTER TABLE agent_samples
  ADD COLUMN epoch bigint NOT NULL DEFAULT 0,
  ADD COLUMN beat_at timestamptz;
COMMENT ON COLUMN agent_samples.epoch IS 'The session that wrote it; one of an older session does not take its place.';
COMMENT ON COLUMN agent_samples.beat_at IS 'Last beat as of this write; the agent''s last beat is the later of it and agent_liveness.last_beat_at.';
COMMENT ON COLUMN agent_liveness.last_beat_at IS 'Last beat as of its Hello or of a write without a sample; agent_samples.beat_at may be later.';`;

export const livenessMigrations: readonly Migration[] = [
  { name: "0020_liveness", up: [flapsSql, drainSql, lossesSql] },
  { name: "0021_samples_alone", up: samplesSql },
];

// A Hello that a network delivers late must not take the place of what came after it.
const sessionSql = `
ALTER TABLE agent_liveness ADD COLUMN session bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN agent_liveness.session IS 'Number of the stream within its incarnation, as the agent counts; 0: it does not count.';`;

/** Comes after the others of its time. */
export const sessionMigrations: readonly Migration[] = [
  { name: "0041_session", up: sessionSql, usableFrom: "0040_task_mix" },
];
