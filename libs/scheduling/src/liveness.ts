/** Whether an agent lives: its states, what moves it between them, and when a silence becomes a verdict. */
import { step, type StateTable, type Step } from "./state-table.ts";
import type { EpochMs } from "./resources.ts";

/**
 * unknown: the registry has just started and has not heard of it yet; online: it beats; suspect: its stream closed or
 * it missed its TTL, out of every capacity answer; offline: its grace has ended, or it said goodbye.
 */
export type AgentStatus = "unknown" | "online" | "suspect" | "offline";

/** An agent's status, or that an operator has removed it. */
export type LivenessState = AgentStatus | "removed";

export type LivenessEvent =
  | "hello"
  | "beat"
  | "stream_closed"
  /** The stream ended after the server had asked the agent to reconnect: no fault, and no flap. */
  | "reconnect_announced_close"
  | "ttl_missed"
  | "grace_ended"
  | "goodbye"
  | "registry_restarted"
  | "removed";

/** hello_first: only a Hello can bring it back. not_due: a verdict that a newer message has overtaken. */
export type LivenessRejection = "hello_first" | "not_due" | "removed";

/** Why an agent said goodbye. */
export type GoodbyeReason = "shutdown" | "sleep" | "owner" | "drain";

export const LIVENESS_TABLE: StateTable<LivenessState, LivenessEvent, LivenessRejection> = {
  unknown: {
    hello: "online",
    beat: "!hello_first",
    stream_closed: "unknown",
    reconnect_announced_close: "unknown",
    ttl_missed: "unknown",
    grace_ended: "offline",
    goodbye: "offline",
    registry_restarted: "unknown",
    removed: "removed",
  },
  online: {
    hello: "online",
    beat: "online",
    stream_closed: "suspect",
    reconnect_announced_close: "online",
    ttl_missed: "suspect",
    grace_ended: "!not_due",
    goodbye: "offline",
    registry_restarted: "unknown",
    removed: "removed",
  },
  suspect: {
    hello: "online",
    // The stream was silent for a TTL and speaks again: the same session, nothing was missed.
    beat: "online",
    stream_closed: "suspect",
    reconnect_announced_close: "suspect",
    ttl_missed: "suspect",
    grace_ended: "offline",
    goodbye: "offline",
    registry_restarted: "unknown",
    removed: "removed",
  },
  offline: {
    hello: "online",
    // It was given up; what it runs has to be compared anew, which only a Hello's full sample allows.
    beat: "!hello_first",
    stream_closed: "offline",
    reconnect_announced_close: "offline",
    ttl_missed: "offline",
    grace_ended: "offline",
    goodbye: "offline",
    registry_restarted: "offline",
    removed: "removed",
  },
  removed: {
    // It may join again: whether it may do so without a new token is for its credentials to say.
    hello: "online",
    beat: "!removed",
    stream_closed: "removed",
    reconnect_announced_close: "removed",
    ttl_missed: "removed",
    grace_ended: "removed",
    goodbye: "removed",
    registry_restarted: "removed",
    removed: "removed",
  },
};

export function livenessStep(state: LivenessState, event: LivenessEvent): Step<LivenessState, LivenessRejection> {
  return step(LIVENESS_TABLE, state, event);
}

/** Missed beats until an agent is suspect. */
export const TTL_INTERVALS = 3;
/** Shortest heartbeat interval, and the one of small fleets. */
export const MIN_HEARTBEAT_INTERVAL_MS = 5_000;
/** Longest: beyond it a lost agent would go unnoticed for minutes. */
export const MAX_HEARTBEAT_INTERVAL_MS = 60_000;

export function ttlMs(intervalMs: number): number {
  return TTL_INTERVALS * intervalMs;
}

/**
 * The interval that keeps a process under a rate of heartbeats per second: 5 s, or the shortest one that is configured,
 * for few agents, and 60 s at most (or the configured one, if that is longer).
 */
export function heartbeatIntervalMs(
  agentsHeld: number,
  targetRatePerSecond: number,
  shortestMs: number = MIN_HEARTBEAT_INTERVAL_MS,
): number {
  const stretchedMs = Math.ceil((agentsHeld / targetRatePerSecond) * 1000);
  return Math.max(shortestMs, Math.min(MAX_HEARTBEAT_INTERVAL_MS, stretchedMs));
}

/** Shortest time over which agents that are sent away spread their return. */
export const MIN_RECONNECT_WITHIN_MS = 2_000;

/**
 * Over which time so many agents, sent away at once, are to spread their return: as few a second as can be admitted, and
 * all of them within two thirds of their TTL, since whoever comes later would be suspect.
 */
export function reconnectWithinMs(agentsHeld: number, admissionsPerSecond: number, intervalMs: number): number {
  const atRateMs = Math.ceil((agentsHeld / admissionsPerSecond) * 1000);
  return Math.min((ttlMs(intervalMs) * 2) / 3, Math.max(MIN_RECONNECT_WITHIN_MS, atRateMs));
}

export interface Deadlines {
  /** From here on a silent agent is suspect. */
  readonly suspectAtMs: EpochMs;
  /** From here on a silent agent is offline. */
  readonly offlineAtMs: EpochMs;
}

/** When silence since `lastHeardAtMs` becomes a verdict. */
export function deadlines(lastHeardAtMs: EpochMs, intervalMs: number, graceMs: number): Deadlines {
  const suspectAtMs = lastHeardAtMs + ttlMs(intervalMs);
  return { suspectAtMs, offlineAtMs: suspectAtMs + graceMs };
}

export interface SweptAgent {
  readonly status: AgentStatus;
  readonly lastHeardAtMs: EpochMs;
  /** When it became suspect or unknown; null for the others. */
  readonly doubtedSinceMs: EpochMs | null;
  readonly intervalMs: number;
}

export interface Sweep {
  readonly nowMs: EpochMs;
  readonly graceMs: number;
  /** How much later than planned this sweep runs: while we were slow, we may also have been deaf. */
  readonly latenessMs: number;
}

/** What one sweep finds about one agent: the event to apply, or null. */
export function sweepVerdict(agent: SweptAgent, sweep: Sweep): "ttl_missed" | "grace_ended" | null {
  const nowMs = sweep.nowMs - sweep.latenessMs;
  switch (agent.status) {
    case "online":
      return nowMs >= agent.lastHeardAtMs + ttlMs(agent.intervalMs) ? "ttl_missed" : null;
    case "suspect":
    case "unknown":
      return nowMs >= (agent.doubtedSinceMs ?? agent.lastHeardAtMs) + sweep.graceMs ? "grace_ended" : null;
    case "offline":
      return null;
  }
}
