/**
 * When very many agents would go offline at once, the fault is probably ours: a network, a stalled process. The brake
 * then keeps them suspect, for a bounded time. It never makes capacity answers more generous: suspect agents are out
 * of those anyway.
 */
import type { EpochMs } from "./resources.ts";

export const BRAKE_FRACTION = 0.15;
export const BRAKE_MIN_AGENTS = 10;
/** The brake holds for at most this many graces. */
export const BRAKE_MAX_GRACES = 3;
/** While it holds, this many verdicts pass in each sweep: single real losses stay visible. */
export const BRAKE_VERDICTS_PER_SWEEP = 1;

export interface BrakeInput {
  /** Agents that this sweep would move to offline; those that said goodbye are not counted. */
  readonly losses: number;
  /**
   * These and those that would follow within one heartbeat interval: what is lost in one moment falls due over as long as the beats
   * before it were apart. Default: the losses.
   */
  readonly imminent?: number;
  /** Those of the same loss that have passed since the brake took hold: they must not release the others. Default 0. */
  readonly passed?: number;
  /** Agents that were online at the beginning, the losses included, and what has passed left out. */
  readonly fleetSize: number;
  /** When the brake took hold; null while it is released. */
  readonly engagedSinceMs: EpochMs | null;
  readonly nowMs: EpochMs;
  readonly graceMs: number;
  /** An operator has confirmed that these losses are real. */
  readonly confirmed: boolean;
}

export type BrakeVerdict =
  | {
      readonly kind: "released";
      /** All of them. */
      readonly allowedVerdicts: number;
      /** What to hand in next time: not null while a brake that ran out (or was confirmed) has losses to let go. */
      readonly sinceMs: EpochMs | null;
    }
  | {
      readonly kind: "engaged";
      /** What to hand in next time. */
      readonly sinceMs: EpochMs;
      readonly endsAtMs: EpochMs;
      /** How many of the losses may pass in this sweep. */
      readonly allowedVerdicts: number;
    };

/** Whether the verdicts of one sweep may pass. Hand its `sinceMs` to the next call. */
export function massLossBrake(input: BrakeInput): BrakeVerdict {
  const { losses, imminent = losses, nowMs } = input;
  // It begins with the first verdict; between two of them it holds.
  const isBegun = losses > 0 || (imminent > 0 && input.engagedSinceMs !== null);
  if (!isBegun || !isMassLoss(input)) return { kind: "released", allowedVerdicts: losses, sinceMs: null };
  const sinceMs = input.engagedSinceMs ?? nowMs;
  const endsAtMs = sinceMs + BRAKE_MAX_GRACES * input.graceMs;
  if (input.confirmed || nowMs >= endsAtMs) return { kind: "released", allowedVerdicts: losses, sinceMs };
  return { kind: "engaged", sinceMs, endsAtMs, allowedVerdicts: Math.min(BRAKE_VERDICTS_PER_SWEEP, losses) };
}

/** Once engaged, half as many losses keep it engaged: the few that come back must not release all the others. */
function isMassLoss({ losses, imminent = losses, passed = 0, fleetSize, engagedSinceMs }: BrakeInput): boolean {
  const weight = engagedSinceMs === null ? 1 : 2;
  const lost = (imminent + passed) * weight;
  return lost >= BRAKE_MIN_AGENTS && lost > (fleetSize + passed) * BRAKE_FRACTION;
}
