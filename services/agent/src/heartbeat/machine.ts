import type { wire } from "@headroom/contracts";
import { attemptsDiffer, hasChanged } from "../sampling/sample-change.ts";

/** One heartbeat session, from the opening of the stream. Times are on the monotonic clock. */
export interface HeartbeatState {
  readonly phase: "greeting" | "up" | "leaving";
  readonly intervalMs: number;
  readonly ttlMs: number;
  /** Of the last beat that was sent. */
  readonly seq: number;
  readonly heardAtMs: number;
  readonly sentSample: wire.Sample | null;
  readonly sampleSentAtMs: number;
  readonly wantFull: boolean;
  /** Attached, or held by the owner, is another than the hello has said: told with the welcome. */
  readonly statusChanged: boolean;
  /** The list of attempts changed: the next beat carries a sample whatever it says. */
  readonly attemptsChanged: boolean;
  /** When the last measurement for the sake of such a change began. */
  readonly attemptsMeasuredAtMs: number;
  readonly measuring: boolean;
}

/** Why the agent says goodbye. */
export type GoodbyeReason = "shutdown" | "sleep";

export type HeartbeatEvent =
  /** The stream is open; `sample` was measured before, null: it could not be. */
  | { readonly kind: "opened"; readonly sample: wire.Sample | null }
  | { readonly kind: "welcome"; readonly intervalMs: number; readonly ttlMs: number }
  | { readonly kind: "ack"; readonly nextIntervalMs: number | null; readonly wantFull: boolean }
  | { readonly kind: "reconnect"; readonly withinMs: number }
  | { readonly kind: "timer" }
  | { readonly kind: "measured"; readonly sample: wire.Sample | null }
  /** Attached or not, held by the owner or not. */
  | { readonly kind: "status_changed" }
  | { readonly kind: "attempts_changed" }
  | { readonly kind: "goodbye"; readonly reason: GoodbyeReason };

export type HeartbeatEffect =
  | { readonly kind: "send_hello"; readonly sample: wire.Sample | null }
  | { readonly kind: "send_beat"; readonly seq: number; readonly sample: wire.Sample | null }
  | { readonly kind: "send_goodbye"; readonly reason: GoodbyeReason }
  /** Measure, and answer with "measured". */
  | { readonly kind: "measure" }
  /** Replaces the timer that is set. */
  | { readonly kind: "set_timer"; readonly delayMs: number }
  /** End the stream; `withinMs`: and come back spread over this time. */
  | { readonly kind: "leave"; readonly withinMs: number | null }
  /** Nothing was heard for too long: cancel the stream and come back. */
  | { readonly kind: "give_up"; readonly silentMs: number };

export interface HeartbeatStep {
  readonly state: HeartbeatState;
  readonly effects: readonly HeartbeatEffect[];
}

/**
 * A change of the attempts is told at once, and then no oftener than this: of a machine that runs many short tasks each sample costs
 * a measurement here and a comparison in the registry.
 */
const attemptsEveryMs = 100;
/** DESIGN 4: a sample goes out every 60 s even if nothing changed. */
const sampleAtLeastEveryMs = 60_000;
/** A service that does not greet within this time is not there. */
const greetingTimeoutMs = 10_000;
const intervalSpread = 0.1;

export const initialHeartbeat: HeartbeatState = {
  phase: "greeting",
  intervalMs: 5_000,
  ttlMs: 15_000,
  seq: 0,
  heardAtMs: 0,
  sentSample: null,
  sampleSentAtMs: 0,
  wantFull: false,
  statusChanged: false,
  attemptsChanged: false,
  attemptsMeasuredAtMs: Number.NEGATIVE_INFINITY,
  measuring: false,
};

/** What happens next. Pure: `random` is in [0, 1). */
export function stepHeartbeat(
  state: HeartbeatState,
  event: HeartbeatEvent,
  nowMs: number,
  random: number,
): HeartbeatStep {
  // Whoever leaves says nothing more and hears nothing more.
  if (state.phase === "leaving") return { state, effects: [] };
  switch (event.kind) {
    case "opened":
      return {
        state: { ...state, heardAtMs: nowMs, sentSample: event.sample, sampleSentAtMs: nowMs },
        effects: [{ kind: "send_hello", sample: event.sample }, timer(greetingTimeoutMs)],
      };
    case "welcome":
      return welcomed({ ...state, ...event, phase: "up", heardAtMs: nowMs }, nowMs, random);
    case "ack":
      return acked(state, event, nowMs);
    case "reconnect":
      return { state: { ...state, phase: "leaving" }, effects: [{ kind: "leave", withinMs: event.withinMs }] };
    case "timer":
      return due(state, nowMs);
    case "measured":
      return measured({ ...state, measuring: false }, event.sample, nowMs, random);
    case "status_changed":
      return state.phase === "up"
        ? beat(state, null, nowMs, random)
        : { state: { ...state, statusChanged: true }, effects: [] };
    case "attempts_changed":
      return attemptsChanged({ ...state, attemptsChanged: true }, nowMs);
    case "goodbye":
      return {
        state: { ...state, phase: "leaving" },
        effects: [
          ...(state.phase === "up" ? [{ kind: "send_goodbye", reason: event.reason } as const] : []),
          { kind: "leave", withinMs: null },
        ],
      };
  }
}

function welcomed(state: HeartbeatState, nowMs: number, random: number): HeartbeatStep {
  // What changed between the measurement for the hello and now goes out at once.
  if (state.attemptsChanged) return attemptsChanged({ ...state, statusChanged: false }, nowMs);
  if (state.statusChanged) return beat({ ...state, statusChanged: false }, null, nowMs, random);
  return { state, effects: [timer(spread(state.intervalMs, random))] };
}

function acked(state: HeartbeatState, ack: Extract<HeartbeatEvent, { kind: "ack" }>, nowMs: number): HeartbeatStep {
  const intervalMs = ack.nextIntervalMs ?? state.intervalMs;
  const next = {
    ...state,
    intervalMs,
    // The time to live keeps its proportion to the interval, which the server stretches as the fleet grows.
    ttlMs: (state.ttlMs / state.intervalMs) * intervalMs,
    heardAtMs: nowMs,
    wantFull: state.wantFull || ack.wantFull,
  };
  return { state: next, effects: [] };
}

function due(state: HeartbeatState, nowMs: number): HeartbeatStep {
  const silentMs = nowMs - state.heardAtMs;
  const limitMs = state.phase === "up" ? state.ttlMs : greetingTimeoutMs;
  if (silentMs >= limitMs) return { state: { ...state, phase: "leaving" }, effects: [{ kind: "give_up", silentMs }] };
  // A real timer may fire up to 1 ms before its time by this clock, and nothing else would ever end a greeting without an answer.
  if (state.phase !== "up") return { state, effects: [timer(Math.max(1, limitMs - silentMs))] };
  return measure(state, nowMs);
}

/** One measurement at a time; a change that comes during one is answered by the next. */
function measure(state: HeartbeatState, nowMs: number): HeartbeatStep {
  if (state.phase !== "up" || state.measuring) return { state, effects: [] };
  const attemptsMeasuredAtMs = state.attemptsChanged ? nowMs : state.attemptsMeasuredAtMs;
  return {
    state: { ...state, measuring: true, attemptsChanged: false, attemptsMeasuredAtMs },
    effects: [{ kind: "measure" }],
  };
}

function attemptsChanged(state: HeartbeatState, nowMs: number): HeartbeatStep {
  if (state.phase !== "up" || state.measuring) return { state, effects: [] };
  const waitMs = attemptsWaitMs(state, nowMs);
  return waitMs <= 0 ? measure(state, nowMs) : { state, effects: [timer(waitMs)] };
}

function attemptsWaitMs({ attemptsMeasuredAtMs }: HeartbeatState, nowMs: number): number {
  return attemptsMeasuredAtMs + attemptsEveryMs - nowMs;
}

function measured(state: HeartbeatState, sample: wire.Sample | null, nowMs: number, random: number): HeartbeatStep {
  if (state.phase !== "up") return { state, effects: [] };
  const { sentSample } = state;
  const isDue =
    sentSample === null ||
    state.wantFull ||
    nowMs - state.sampleSentAtMs >= sampleAtLeastEveryMs ||
    (sample !== null && (attemptsDiffer(sentSample, sample) || hasChanged(sentSample, sample)));
  return beat(state, isDue ? sample : null, nowMs, random);
}

function beat(state: HeartbeatState, sample: wire.Sample | null, nowMs: number, random: number): HeartbeatStep {
  const seq = state.seq + 1;
  const delayMs = state.attemptsChanged ? Math.max(0, attemptsWaitMs(state, nowMs)) : spread(state.intervalMs, random);
  const sent = sample === null ? {} : { sentSample: sample, sampleSentAtMs: nowMs, wantFull: false };
  return {
    state: { ...state, ...sent, seq },
    effects: [{ kind: "send_beat", seq, sample }, timer(delayMs)],
  };
}

function timer(delayMs: number): HeartbeatEffect {
  return { kind: "set_timer", delayMs };
}

/** ± 10 %, so that agents that started together part. */
function spread(ms: number, random: number): number {
  return ms * (1 + (2 * random - 1) * intervalSpread);
}
