/** Rows with everything the store knows of an agent, all from one snapshot of the database. */
import type { AgentStatus, AgentType, ReservationState, Sample } from "@headroom/scheduling";
import { ReservationBook } from "../reservation-book.ts";
import type { StoredAgent, StoredReservation } from "../stored-agent.ts";
import {
  type AttemptUseJson,
  attemptUseFromJson,
  type CardAmountsJson,
  cardAmountsFromJson,
  cardFromJson,
  type CardJson,
  type NeedsJson,
  needsFromJson,
} from "./sample-json.ts";

/** Reservations in one row. One takes 110 KiB where needs and shape name all the models and labels that they may, and mostly 400 bytes. */
export const PART_SIZE = 1_000;

/**
 * Reservations travel as json with their agent's row, so that guard and reservations are of the same snapshot. In parts, each in a row of its
 * own: a jsonb is at most 256 MiB, and what one agent has of tombstones must not keep the registry from starting.
 */
const partsOfReservations = (which: string): string => `
  SELECT part, jsonb_agg(jsonb_build_object(
      'attempt_id', r.attempt_id, 'agent_id', r.agent_id, 'fence', r.fence, 'state', r.state,
      'cpu_millicores', r.cpu_millicores, 'memory_mib', r.memory_mib, 'cards', r.cards,
      'shape', r.shape, 'needs', r.needs,
      'lease_expires_at', floor(extract(epoch FROM r.lease_expires_at) * 1000),
      'expected_end_at', floor(extract(epoch FROM r.expected_end_at) * 1000),
      'reserved_at', floor(extract(epoch FROM r.reserved_at) * 1000),
      'released_at', floor(extract(epoch FROM r.released_at) * 1000),
      'plan_id', r.plan_id, 'task_id', r.task_id)) AS reservations
    FROM (SELECT *, (row_number() OVER () - 1) / ${PART_SIZE} AS part
            FROM reservations WHERE agent_id = a.agent_id ${which}) r
   GROUP BY part`;

/** A time of the change of a row `a` of agents that is later than that of the change before, in whatever order their transactions began. */
export const laterChange = `greatest(now(), a.changed_at + interval '1 microsecond')`;

/**
 * Everything but the WHERE clause. Tables: a agents, l liveness, g guards, s samples. What was measured before the agent's present session says nothing of now:
 * its owner may have come meanwhile.
 */
const select = (which: string): string => `
  SELECT a.agent_id, a.hostname, a.agent_type, a.pool_name, a.labels, a.version, a.platform,
         a.cordoned, a.cordon_reason, a.draining, a.drain_deadline, a.first_seen_at, a.removed_at,
         (extract(epoch FROM a.changed_at) * 1000000)::bigint AS changed_us,
         l.status, l.status_reason, l.status_since, l.epoch, l.incarnation, l.replica_id,
         greatest(l.last_beat_at, s.beat_at) AS last_beat_at,
         l.attached, l.owner_hold, l.flaps, l.last_flap_at, l.probation_until, g.version AS guard_version,
         s.sampled_at, s.cpu_total_millicores, s.cpu_available_millicores, s.cpu_offer_millicores, s.cpu_declared,
         s.cpu_load_percent, s.memory_total_mib, s.memory_available_mib, s.memory_offer_mib, s.memory_declared,
         s.cards, CASE WHEN p.part > 0 THEN NULL ELSE s.attempts END AS attempts,
         coalesce(p.part, 0) AS part, coalesce(p.reservations, '[]') AS reservations
    FROM agents a
    JOIN agent_liveness l USING (agent_id)
    JOIN agent_guards g USING (agent_id)
    LEFT JOIN agent_samples s ON s.agent_id = a.agent_id AND s.epoch = l.epoch
    LEFT JOIN LATERAL (${partsOfReservations(which)}) p ON true`;

/** With all their reservations. */
export const selectAgents = select("");

/** Without the tombstones from before a time, the parameter of this name: a busy fleet has a million of them, and a process that follows knows them. */
export const selectAgentsSince = (parameter: "$1" | "$2"): string =>
  select(`AND (released_at IS NULL OR released_at >= ${parameter})`);

export interface ReservationJson {
  readonly attempt_id: string;
  readonly agent_id: string;
  readonly fence: number;
  readonly state: ReservationState;
  readonly cpu_millicores: number;
  readonly memory_mib: number;
  readonly cards: CardAmountsJson;
  readonly shape: string | null;
  readonly needs: NeedsJson | null;
  /** Epoch milliseconds, as are the others. */
  readonly lease_expires_at: number | null;
  readonly expected_end_at: number | null;
  readonly reserved_at: number;
  readonly released_at: number | null;
  readonly plan_id: string;
  readonly task_id: string;
}

interface SampleColumns {
  readonly sampled_at: number;
  readonly cpu_total_millicores: number;
  readonly cpu_available_millicores: number;
  readonly cpu_offer_millicores: number;
  readonly cpu_declared: boolean;
  readonly cpu_load_percent: number;
  readonly memory_total_mib: number;
  readonly memory_available_mib: number;
  readonly memory_offer_mib: number;
  readonly memory_declared: boolean;
  readonly cards: readonly CardJson[];
  readonly attempts: readonly AttemptUseJson[];
}

type NoSample = { readonly [K in keyof SampleColumns]: null };

interface AgentColumns {
  readonly agent_id: string;
  readonly hostname: string;
  readonly agent_type: AgentType;
  readonly pool_name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  readonly platform: string;
  readonly cordoned: boolean;
  readonly cordon_reason: string;
  readonly draining: boolean;
  readonly drain_deadline: number | null;
  readonly first_seen_at: number;
  readonly removed_at: number | null;
  readonly changed_us: number;
  readonly status: AgentStatus;
  readonly status_reason: string;
  readonly status_since: number;
  readonly epoch: number;
  readonly incarnation: string | null;
  readonly replica_id: string | null;
  readonly last_beat_at: number | null;
  readonly attached: boolean;
  readonly owner_hold: boolean;
  readonly flaps: number;
  readonly last_flap_at: number | null;
  readonly probation_until: number | null;
  readonly guard_version: number;
  /** Which part of its reservations this is; only the first row, 0, has all of the sample. */
  readonly part: number;
  readonly reservations: readonly ReservationJson[];
}

export type AgentRow = AgentColumns & (SampleColumns | NoSample);

/** The agents of these rows, each put together from all its own. */
export function agentsFromRows(rows: readonly AgentRow[]): StoredAgent[] {
  const rowsOf = new Map<string, AgentRow[]>();
  for (const row of rows) {
    const others = rowsOf.get(row.agent_id);
    if (others === undefined) rowsOf.set(row.agent_id, [row]);
    else others.push(row);
  }
  return Array.from(rowsOf.values(), (parts) => {
    const first = parts.find(({ part }) => part === 0);
    if (first === undefined) throw new Error("an agent came without its first part");
    return agentFromRow(first, reservationsIn(parts));
  });
}

function* reservationsIn(parts: readonly AgentRow[]): Generator<StoredReservation> {
  for (const { reservations } of parts) for (const json of reservations) yield reservationFromJson(json);
}

function agentFromRow(row: AgentRow, reservations: Iterable<StoredReservation>): StoredAgent {
  return {
    agentId: row.agent_id,
    hostname: row.hostname,
    agentType: row.agent_type,
    poolName: row.pool_name,
    labels: row.labels,
    version: row.version,
    platform: row.platform,
    cordoned: row.cordoned,
    cordonReason: row.cordon_reason,
    draining: row.draining,
    drainDeadlineMs: row.drain_deadline,
    administeredAtUs: row.changed_us,
    firstSeenAtMs: row.first_seen_at,
    status: row.status,
    statusReason: row.status_reason,
    statusSinceMs: row.status_since,
    flapping: { flaps: row.flaps, lastFlapAtMs: row.last_flap_at, probationUntilMs: row.probation_until },
    epoch: row.epoch,
    incarnation: row.incarnation,
    replicaId: row.replica_id,
    lastBeatAtMs: row.last_beat_at,
    attached: row.attached,
    ownerHold: row.owner_hold,
    sample: row.sampled_at === null ? null : sampleFromRow(row),
    guardVersion: row.guard_version,
    reservations: ReservationBook.of(reservations),
  };
}

function sampleFromRow(row: SampleColumns): Sample {
  return {
    sampledAtMs: row.sampled_at,
    cpu: {
      total: row.cpu_total_millicores,
      available: row.cpu_available_millicores,
      offer: row.cpu_offer_millicores,
      declared: row.cpu_declared,
    },
    cpuLoadPercent: row.cpu_load_percent,
    memory: {
      total: row.memory_total_mib,
      available: row.memory_available_mib,
      offer: row.memory_offer_mib,
      declared: row.memory_declared,
    },
    cards: row.cards.map(cardFromJson),
    attempts: row.attempts.map(attemptUseFromJson),
  };
}

function reservationFromJson(json: ReservationJson): StoredReservation {
  return {
    attemptId: json.attempt_id,
    agentId: json.agent_id,
    state: json.state,
    fence: json.fence,
    shape: json.shape,
    reserved: {
      cpuMillicores: json.cpu_millicores,
      memoryMib: json.memory_mib,
      cards: cardAmountsFromJson(json.cards),
    },
    leaseExpiresAtMs: json.lease_expires_at,
    expectedEndAtMs: json.expected_end_at,
    releasedAtMs: json.released_at,
    needs: json.needs === null ? null : needsFromJson(json.needs),
    planId: json.plan_id,
    taskId: json.task_id,
    reservedAtMs: json.reserved_at,
  };
}
