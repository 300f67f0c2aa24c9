/** The schema `registry`, from nothing to now. A migration that has been released is never changed: add another. */
import type { Migration } from "@headroom/postgres";
import { enrolmentMigrations } from "./migrations-enrolment.ts";
import { livenessMigrations, sessionMigrations } from "./migrations-liveness.ts";
import { placementMigrations } from "./migrations-placement.ts";

export const REGISTRY_SCHEMA = "registry";

const agentsSql = `
CREATE TABLE agents (
  agent_id      uuid PRIMARY KEY,
  hostname      text NOT NULL,
  agent_type    text NOT NULL CHECK (agent_type IN ('desktop', 'infra', 'code', 'research')),
  pool_name     text NOT NULL,
  labels        jsonb NOT NULL DEFAULT '{}',
  version       text NOT NULL,
  platform      text NOT NULL,
  cordoned      boolean NOT NULL DEFAULT false,
  cordon_reason text NOT NULL DEFAULT '',
  draining      boolean NOT NULL DEFAULT false,
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  removed_at    timestamptz,
  changed_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE agents IS 'Who is in the fleet. Changes at a Hello and when an operator acts, never with a beat.';
COMMENT ON COLUMN agents.agent_id IS 'Identity of the agent, kept in its data folder.';
COMMENT ON COLUMN agents.hostname IS 'Host name, for people.';
COMMENT ON COLUMN agents.agent_type IS 'Only desktops are given work.';
COMMENT ON COLUMN agents.pool_name IS 'Pool; "default" unless the agent is configured otherwise.';
COMMENT ON COLUMN agents.labels IS 'Labels that tasks can ask for.';
COMMENT ON COLUMN agents.version IS 'Version of the agent program.';
COMMENT ON COLUMN agents.platform IS 'Operating system and architecture.';
COMMENT ON COLUMN agents.cordoned IS 'An operator keeps new work away.';
COMMENT ON COLUMN agents.cordon_reason IS 'Why, in the operator''s words.';
COMMENT ON COLUMN agents.draining IS 'An operator lets its work end, for it to leave.';
COMMENT ON COLUMN agents.first_seen_at IS 'First Hello ever.';
COMMENT ON COLUMN agents.removed_at IS 'When an operator removed it; null while it belongs to the fleet.';
COMMENT ON COLUMN agents.changed_at IS 'Last change of this row, for other registry processes.';`;

// Narrow and hot: at fillfactor 70 and without an index on its times, 94 % of the updates stay on their page.
const livenessSql = `
CREATE TABLE agent_liveness (
  agent_id      uuid PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
  status        text NOT NULL CHECK (status IN ('unknown', 'online', 'suspect', 'offline')),
  status_reason text NOT NULL,
  status_since  timestamptz NOT NULL,
  epoch         bigint NOT NULL,
  incarnation   uuid,
  replica_id    uuid,
  last_beat_at  timestamptz,
  attached      boolean NOT NULL,
  owner_hold    boolean NOT NULL,
  changed_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE agent_liveness IS 'Whether each agent lives, one narrow row, written when it changes and with the samples.';
COMMENT ON COLUMN agent_liveness.status IS 'online: beats; suspect: silent or its stream closed; offline: gone; unknown: the registry restarted and has not heard from it.';
COMMENT ON COLUMN agent_liveness.status_reason IS 'Why it has that status, for people.';
COMMENT ON COLUMN agent_liveness.status_since IS 'Since when.';
COMMENT ON COLUMN agent_liveness.epoch IS 'Number of the newest session; writes of older ones change nothing.';
COMMENT ON COLUMN agent_liveness.incarnation IS 'The start of the agent program that holds the session.';
COMMENT ON COLUMN agent_liveness.replica_id IS 'The registry process that holds the session.';
COMMENT ON COLUMN agent_liveness.last_beat_at IS 'Last beat as of the last write: at most 60 s behind for an agent that is online.';
COMMENT ON COLUMN agent_liveness.attached IS 'Its work stream to an orchestrator is up.';
COMMENT ON COLUMN agent_liveness.owner_hold IS 'Its owner keeps new work away.';
COMMENT ON COLUMN agent_liveness.changed_at IS 'Last change of this row, for other registry processes.';`;

const samplesSql = `
CREATE TABLE agent_samples (
  agent_id                 uuid PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
  sampled_at               timestamptz NOT NULL,
  cpu_total_millicores     bigint NOT NULL,
  cpu_available_millicores bigint NOT NULL,
  cpu_offer_millicores     bigint NOT NULL,
  cpu_declared             boolean NOT NULL,
  cpu_load_percent         double precision NOT NULL,
  memory_total_mib         bigint NOT NULL,
  memory_available_mib     bigint NOT NULL,
  memory_offer_mib         bigint NOT NULL,
  memory_declared          boolean NOT NULL,
  gpu_count                integer NOT NULL,
  gpu_models               text NOT NULL,
  vram_total_mib           bigint NOT NULL,
  vram_available_mib       bigint NOT NULL,
  vram_offer_mib           bigint NOT NULL,
  cards                    jsonb NOT NULL,
  attempts                 jsonb NOT NULL,
  changed_at               timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE agent_samples IS 'The latest sample of each agent, as measured: what is promised is not taken off here. Written at most once a second.';
COMMENT ON COLUMN agent_samples.sampled_at IS 'When it was sampled, by the agent''s clock.';
COMMENT ON COLUMN agent_samples.cpu_total_millicores IS 'CPU of the machine, 1000 is one core.';
COMMENT ON COLUMN agent_samples.cpu_available_millicores IS 'Measured as not in use by anybody.';
COMMENT ON COLUMN agent_samples.cpu_offer_millicores IS 'The most that the owner lets Headroom have.';
COMMENT ON COLUMN agent_samples.cpu_declared IS 'The figures come from configuration, not from measuring.';
COMMENT ON COLUMN agent_samples.cpu_load_percent IS 'CPU load of the whole machine, 0 to 100.';
COMMENT ON COLUMN agent_samples.memory_total_mib IS 'Memory of the machine in MiB.';
COMMENT ON COLUMN agent_samples.memory_available_mib IS 'Measured as not in use by anybody.';
COMMENT ON COLUMN agent_samples.memory_offer_mib IS 'The most that the owner lets Headroom have.';
COMMENT ON COLUMN agent_samples.memory_declared IS 'The figures come from configuration, not from measuring.';
COMMENT ON COLUMN agent_samples.gpu_count IS 'Number of cards.';
COMMENT ON COLUMN agent_samples.gpu_models IS 'Their distinct models, for people.';
COMMENT ON COLUMN agent_samples.vram_total_mib IS 'VRAM in MiB, summed over the cards.';
COMMENT ON COLUMN agent_samples.vram_available_mib IS 'Measured as not in use by anybody, summed over the cards.';
COMMENT ON COLUMN agent_samples.vram_offer_mib IS 'The most that the owner lets Headroom have, summed over the cards.';
COMMENT ON COLUMN agent_samples.cards IS 'The cards one by one.';
COMMENT ON COLUMN agent_samples.attempts IS 'The complete list of what the agent runs, with the use measured for each.';
COMMENT ON COLUMN agent_samples.changed_at IS 'Last change of this row, for other registry processes.';`;

const guardsSql = `
CREATE TABLE agent_guards (
  agent_id   uuid PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
  version    bigint NOT NULL DEFAULT 0,
  changed_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE agent_guards IS 'Guards the reservations of each agent: whoever changes them counts the version up from the one it decided on, or changes nothing.';
COMMENT ON COLUMN agent_guards.version IS 'Counts every change of the agent''s reservations.';
COMMENT ON COLUMN agent_guards.changed_at IS 'Last change of this row, for other registry processes.';`;

const reservationsSql = `
CREATE TABLE reservations (
  attempt_id       uuid PRIMARY KEY,
  agent_id         uuid NOT NULL,
  fence            bigint NOT NULL,
  state            text NOT NULL CHECK (state IN ('unconfirmed', 'confirmed', 'adopted', 'hold', 'released')),
  cpu_millicores   bigint NOT NULL,
  memory_mib       bigint NOT NULL,
  cards            jsonb NOT NULL,
  shape            text,
  needs            jsonb,
  lease_expires_at timestamptz,
  expected_end_at  timestamptz,
  reserved_at      timestamptz NOT NULL,
  released_at      timestamptz,
  plan_id          text NOT NULL DEFAULT '',
  task_id          text NOT NULL DEFAULT '',
  CHECK ((state IN ('unconfirmed', 'hold')) = (lease_expires_at IS NOT NULL)),
  CHECK ((state = 'released') = (released_at IS NOT NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX reservations_agent ON reservations (agent_id);
CREATE INDEX reservations_leased ON reservations (lease_expires_at) WHERE lease_expires_at IS NOT NULL;
CREATE INDEX reservations_released ON reservations (released_at) WHERE released_at IS NOT NULL;
COMMENT ON TABLE reservations IS 'Room promised to attempts. Rows whose state is released hold nothing; they stay for 10 minutes so that late messages change nothing.';
COMMENT ON COLUMN reservations.attempt_id IS 'The attempt, and the key of the promise.';
COMMENT ON COLUMN reservations.agent_id IS 'The agent that has the room.';
COMMENT ON COLUMN reservations.fence IS 'Highest fence seen; whoever comes with a lower one changes nothing.';
COMMENT ON COLUMN reservations.state IS 'unconfirmed: leased until the agent reports the attempt; confirmed: reported; adopted: reported without a promise; hold: kept for a waiting task; released: ended.';
COMMENT ON COLUMN reservations.cpu_millicores IS 'CPU promised, 1000 is one core.';
COMMENT ON COLUMN reservations.memory_mib IS 'Memory promised in MiB.';
COMMENT ON COLUMN reservations.cards IS 'VRAM promised, card by card.';
COMMENT ON COLUMN reservations.shape IS 'Canonical text of what was asked, to tell whether the same is asked again.';
COMMENT ON COLUMN reservations.needs IS 'What was asked, for people.';
COMMENT ON COLUMN reservations.lease_expires_at IS 'When it ends by itself; null once the agent has reported it.';
COMMENT ON COLUMN reservations.expected_end_at IS 'When its work is expected to end, if somebody said so.';
COMMENT ON COLUMN reservations.reserved_at IS 'Since when.';
COMMENT ON COLUMN reservations.released_at IS 'When it ended.';
COMMENT ON COLUMN reservations.plan_id IS 'The plan, to follow it over all tables and logs; empty when unknown.';
COMMENT ON COLUMN reservations.task_id IS 'The task; empty when unknown.';`;

const replicasSql = `
CREATE TABLE replicas (
  replica_id       uuid PRIMARY KEY,
  started_at       timestamptz NOT NULL DEFAULT now(),
  lease_expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE replicas IS 'Registry processes that live. One whose lease has run out is taken for dead, and its agents for suspect.';
COMMENT ON COLUMN replicas.replica_id IS 'One start of a registry process.';
COMMENT ON COLUMN replicas.started_at IS 'Since when.';
COMMENT ON COLUMN replicas.lease_expires_at IS 'Renewed every second or so.';`;

export const registryMigrations: readonly Migration[] = [
  { name: "0001_agents", up: [agentsSql, livenessSql, samplesSql] },
  { name: "0002_reservations", up: [guardsSql, reservationsSql] },
  { name: "0003_replicas", up: replicasSql },
  ...livenessMigrations,
  ...enrolmentMigrations,
  ...placementMigrations,
  ...sessionMigrations,
];
