/** When agents were last heard, on this process's own steady clock. Changed with every beat, so kept apart from the fleet. */
import { ttlMs } from "@headroom/scheduling";
import { LookSchedule } from "./look-schedule.ts";

export interface Pulse {
  readonly agentId: string;
  /** Steady milliseconds. */
  heardAtMs: number;
  /** Since when it is suspect or unknown, in steady milliseconds; null for the others. */
  doubtedSinceMs: number | null;
  /** The interval that it was told last; null: none, by this process. */
  intervalMs: number | null;
  /** When the sweep looks at it next, in steady milliseconds; null: not before something changes. */
  lookAtMs: number | null;
}

export class Pulses {
  readonly #pulses = new Map<string, Pulse>();
  readonly #looks = new LookSchedule<Pulse>();

  get(agentId: string): Pulse | undefined {
    return this.#pulses.get(agentId);
  }

  /** The agent has been heard now. */
  heard(agentId: string, nowMs: number): Pulse {
    const pulse = this.#of(agentId, nowMs);
    pulse.heardAtMs = nowMs;
    return pulse;
  }

  /** It has beaten now, and is told to beat again at this interval: both in one look-up, for this is the path of every beat. */
  beat(agentId: string, nowMs: number, intervalMs: number): void {
    const pulse = this.#of(agentId, nowMs);
    pulse.heardAtMs = nowMs;
    this.#tell(pulse, intervalMs);
  }

  /** The agent has been told to beat at this interval; it has been heard before. */
  told(agentId: string, intervalMs: number): void {
    const pulse = this.#pulses.get(agentId);
    if (pulse !== undefined) this.#tell(pulse, intervalMs);
  }

  /** It is suspect or unknown from now on, or no longer. The beginning of a doubt stays while it lasts. */
  doubt(agentId: string, isDoubted: boolean, nowMs: number): void {
    const pulse = this.#of(agentId, nowMs);
    pulse.doubtedSinceMs = isDoubted ? (pulse.doubtedSinceMs ?? nowMs) : null;
  }

  forget(agentId: string): void {
    const pulse = this.#pulses.get(agentId);
    if (pulse === undefined) return;
    this.#looks.drop(pulse);
    this.#pulses.delete(agentId);
  }

  /** The sweep looks at it again then, or before if that was said before. */
  lookAt(pulse: Pulse, atMs: number): void {
    this.#looks.at(pulse, atMs);
  }

  /** Those at which the sweep is to look by now. They are looked at no more until somebody says when. */
  takeDue(nowMs: number): Pulse[] {
    return this.#looks.takeDue(nowMs);
  }

  #of(agentId: string, nowMs: number): Pulse {
    const known = this.#pulses.get(agentId);
    if (known !== undefined) return known;
    const pulse: Pulse = { agentId, heardAtMs: nowMs, doubtedSinceMs: null, intervalMs: null, lookAtMs: null };
    this.#pulses.set(agentId, pulse);
    return pulse;
  }

  #tell(pulse: Pulse, intervalMs: number): void {
    pulse.intervalMs = intervalMs;
    if (pulse.lookAtMs === null) return;
    // A fleet that has become much smaller beats so much faster that silence counts before the next look.
    const silentAtMs = pulse.heardAtMs + ttlMs(intervalMs);
    if (silentAtMs < pulse.lookAtMs) this.#looks.at(pulse, silentAtMs);
  }
}
