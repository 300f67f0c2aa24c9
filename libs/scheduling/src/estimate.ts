/** When room for a task is expected, from the expected ends of what runs. */
import { withoutReservations, type AgentView } from "./agent-view.ts";
import { fit, type FitOptions } from "./fit.ts";
import type { Needs } from "./needs.ts";
import type { EpochMs } from "./resources.ts";

/** The later end of a range allows for this much longer than expected. */
export const OVERRUN_FACTOR = 1.5;

export interface RoomEstimate {
  readonly agentId: string;
  readonly earliestMs: EpochMs;
  readonly latestMs: EpochMs;
}

/**
 * The earliest moment at which enough reservations with a known end have ended on some usable agent; null when no known
 * end makes room. An end that has passed already is expected any moment. Nobody else's wish for that room is counted:
 * add the queue.
 */
export function estimateRoom(
  views: readonly AgentView[],
  needs: Needs,
  nowMs: EpochMs,
  options: FitOptions = {},
): RoomEstimate | null {
  let best: RoomEstimate | null = null;
  for (const view of views) {
    const atMs = roomExpectedAtMs(view, needs, nowMs, options);
    if (atMs === null || (best !== null && atMs >= best.earliestMs)) continue;
    best = { agentId: view.agentId, earliestMs: atMs, latestMs: nowMs + Math.ceil((atMs - nowMs) * OVERRUN_FACTOR) };
  }
  return best;
}

function roomExpectedAtMs(view: AgentView, needs: Needs, nowMs: EpochMs, options: FitOptions): EpochMs | null {
  const found = fit(view, needs, options);
  if (found.kind === "fits") return nowMs;
  if (found.never || found.misses.some(({ dimension }) => dimension === "state")) return null;
  const ended = new Set<string>();
  for (const { attemptId, endsAtMs } of knownEnds(view)) {
    ended.add(attemptId);
    if (fit(withoutReservations(view, ended), needs, options).kind === "fits") return Math.max(nowMs, endsAtMs);
  }
  return null;
}

function knownEnds(view: AgentView): readonly { readonly attemptId: string; readonly endsAtMs: EpochMs }[] {
  return view.reservations
    .flatMap(({ attemptId, expectedEndAtMs }) =>
      expectedEndAtMs === null ? [] : [{ attemptId, endsAtMs: expectedEndAtMs }],
    )
    .sort((a, b) => a.endsAtMs - b.endsAtMs);
}
