/** What the registry tells Prometheus. Names end in their units; labels come from small closed sets. */
import type { Metrics } from "@headroom/runtime";
import type { AgentStatus, ReservationChange, ReservationState } from "@headroom/scheduling";
import { viewOf } from "./fleet/agent-views.ts";
import type { Fleet } from "./fleet/fleet.ts";
import type { Admissions } from "./heartbeat/admissions.ts";
import type { Sessions } from "./heartbeat/sessions.ts";
import type { Pulses } from "./liveness/pulses.ts";
import type { StateWriter } from "./liveness/state-writer.ts";
import type { Sweep } from "./liveness/sweep.ts";
import type { CapacityFeed } from "./watch/capacity-feed.ts";

const STATUSES: readonly AgentStatus[] = ["unknown", "online", "suspect", "offline"];
const STATES: readonly ReservationState[] = ["unconfirmed", "confirmed", "adopted", "hold", "released"];
const BYTES_PER_MIB = 1_048_576;

export interface MeasuredParts {
  readonly fleet: Fleet;
  readonly sessions: Sessions;
  readonly pulses: Pulses;
  readonly writer: StateWriter;
  readonly feed: CapacityFeed;
  readonly admissions: Admissions;
  readonly sweep: Sweep;
  /** This process knows the fleet, and is not cut off from its database. */
  isConnected(): boolean;
  monotonicMs(): number;
}

/** Gauges are read from the parts at each scrape, so they cost nothing between. */
export function observeRegistry(metrics: Metrics, parts: MeasuredParts): void {
  const { fleet, sessions, pulses, writer, feed } = parts;
  metrics.gauge("headroom_agents", "Agents by liveness", ["status"], (gauge) => {
    for (const status of STATUSES) {
      gauge.set({ status }, [...fleet.agents()].filter((agent) => agent.status === status).length);
    }
  });
  metrics.gauge("headroom_reservations", "Reservations by state; released ones are tombstones", ["state"], (gauge) => {
    const counts = new Map<ReservationState, number>();
    for (const agent of fleet.agents()) {
      for (const { state } of agent.reservations.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    for (const state of STATES) gauge.set({ state }, counts.get(state) ?? 0);
  });
  metrics.gauge("headroom_vram_free_bytes", "VRAM that can be promised, over all online agents", [], (gauge) => {
    gauge.set(BYTES_PER_MIB * sumOnline(fleet, (agent) => viewOf(agent).room.vram.free));
  });
  metrics.gauge("headroom_cpu_free_cores", "CPU that can be promised, over all online agents", [], (gauge) => {
    gauge.set(sumOnline(fleet, (agent) => viewOf(agent).room.cpu.free) / 1_000);
  });
  metrics.gauge(
    "headroom_heartbeat_age_seconds",
    "Longest silence of an agent whose stream is open here",
    [],
    (gauge) => {
      const nowMs = parts.monotonicMs();
      let oldestMs = 0;
      for (const { agentId } of sessions.all()) {
        const pulse = agentId === null ? undefined : pulses.get(agentId);
        if (pulse !== undefined) oldestMs = Math.max(oldestMs, nowMs - pulse.heardAtMs);
      }
      gauge.set(oldestMs / 1_000);
    },
  );
  metrics.gauge("headroom_heartbeat_streams", "Agents whose stream is open here", [], (gauge) =>
    gauge.set(sessions.size),
  );
  metrics.gauge("headroom_capacity_watchers", "Readers of WatchCapacity", [], (gauge) => gauge.set(feed.watchers));
  metrics.gauge("headroom_states_waiting", "Agents whose newest state waits to be written", [], (gauge) =>
    gauge.set(writer.waiting),
  );
  metrics.gauge(
    "headroom_database_connected",
    "1 while this process reaches its database; 0 at the start until the fleet is loaded, and when it has not for 15 s or longer",
    [],
    (gauge) => gauge.set(parts.isConnected() ? 1 : 0),
  );
  observeLiveness(metrics, parts);
}

function observeLiveness(metrics: Metrics, { fleet, admissions, sweep }: MeasuredParts): void {
  metrics.gauge("headroom_hellos_waiting", "Agents whose Hello waits to be admitted", [], (gauge) =>
    gauge.set(admissions.pending),
  );
  metrics.gauge(
    "headroom_mass_loss_held_agents",
    "Agents that the mass-loss brake keeps from going offline; above 0 it is engaged",
    [],
    (gauge) => gauge.set(sweep.heldAgents),
  );
  metrics.gauge("headroom_agents_on_probation", "Agents not offered to work because they come and go", [], (gauge) => {
    let onProbation = 0;
    for (const { flapping } of fleet.agents()) if (flapping.probationUntilMs !== null) onProbation += 1;
    gauge.set(onProbation);
  });
}

export interface LivenessCounters {
  readonly onFlap: () => void;
  readonly onRefused: () => void;
}

export function livenessCounters(metrics: Metrics): LivenessCounters {
  const flaps = metrics.counter("headroom_agent_flaps_total", "Unannounced losses of an agent's heartbeat");
  const refused = metrics.counter("headroom_hellos_refused_total", "Hellos sent to come back because too many waited");
  return { onFlap: () => flaps.inc(), onRefused: () => refused.inc() };
}

function sumOnline(fleet: Fleet, amountOf: (agent: Parameters<typeof viewOf>[0]) => number): number {
  let sum = 0;
  for (const agent of fleet.agents()) if (agent.status === "online") sum += amountOf(agent);
  return sum;
}

export interface ReservationCounters {
  readonly onChange: (change: ReservationChange) => void;
  readonly onConflict: () => void;
}

export function reservationCounters(metrics: Metrics): ReservationCounters {
  const changes = metrics.counter(
    "headroom_reservation_changes_total",
    "Reservations changed by agents' reports and by time",
    ["change"],
  );
  const conflicts = metrics.counter(
    "headroom_reservation_conflicts_total",
    "Commits that another registry process came before; each was planned again",
  );
  return { onChange: (change) => changes.inc({ change }), onConflict: () => conflicts.inc() };
}
