/** When agents were last heard, on this process's own steady clock. Changed with every beat, so kept apart from the fleet. */

export interface Pulse {
  /** Steady milliseconds. */
  heardAtMs: number;
  /** Since when it is suspect or unknown, in steady milliseconds; null for the others. */
  doubtedSinceMs: number | null;
  /** The interval that it was told last; null: none, by this process. */
  intervalMs: number | null;
}

export class Pulses {
  readonly #pulses = new Map<string, Pulse>();

  get(agentId: string): Pulse | undefined {
    return this.#pulses.get(agentId);
  }

  /** The agent has been heard now. */
  heard(agentId: string, nowMs: number): void {
    const pulse = this.#pulses.get(agentId);
    if (pulse === undefined) this.#pulses.set(agentId, { heardAtMs: nowMs, doubtedSinceMs: null, intervalMs: null });
    else pulse.heardAtMs = nowMs;
  }

  /** It has beaten now, and is told to beat again at this interval: both in one look-up, for this is the path of every beat. */
  beat(agentId: string, nowMs: number, intervalMs: number): void {
    const pulse = this.#pulses.get(agentId);
    if (pulse === undefined) {
      this.#pulses.set(agentId, { heardAtMs: nowMs, doubtedSinceMs: null, intervalMs });
      return;
    }
    pulse.heardAtMs = nowMs;
    pulse.intervalMs = intervalMs;
  }

  /** The agent has been told to beat at this interval; it has been heard before. */
  told(agentId: string, intervalMs: number): void {
    const pulse = this.#pulses.get(agentId);
    if (pulse !== undefined) pulse.intervalMs = intervalMs;
  }

  /** It is suspect or unknown from now on, or no longer. The beginning of a doubt stays while it lasts. */
  doubt(agentId: string, isDoubted: boolean, nowMs: number): void {
    const pulse = this.#pulses.get(agentId) ?? { heardAtMs: nowMs, doubtedSinceMs: null, intervalMs: null };
    pulse.doubtedSinceMs = isDoubted ? (pulse.doubtedSinceMs ?? nowMs) : null;
    this.#pulses.set(agentId, pulse);
  }

  forget(agentId: string): void {
    this.#pulses.delete(agentId);
  }
}
