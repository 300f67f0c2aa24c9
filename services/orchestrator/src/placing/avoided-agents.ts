import type { Clock } from "@headroom/runtime";

/** Why an agent is avoided: it read the assignment too late, as after a sleep, and may be well again in a moment; or it did not take it, or does not answer. */
export type AvoidCause = "late" | "refused";

/** Agents to which a delivery has just failed: not used again for a while. Bounded by what a reservation may name. */
export interface AvoidedAgents {
  avoid(agentId: string, cause: AvoidCause): void;
  /** It is back, by its own word. */
  forgive(agentId: string): void;
  current(): ReadonlySet<string>;
  /** The same, each with the time until it may be used again. */
  leftMs(): ReadonlyMap<string, number>;
  /** Until the first of them may be used again; null when none is avoided. */
  endsInMs(): number | null;
  /** Called whenever one begins to be avoided. Returns how to leave. */
  onAvoided(listener: () => void): () => void;
}

export const avoidMs = 30_000;
/** Twice as long each time that it is late again. */
export const firstLateMs = 2_000;
const maxAvoided = 256;

interface Avoidance {
  readonly forMs: number;
  readonly untilMs: number;
}

export function createAvoidedAgents(clock: Clock): AvoidedAgents {
  const known = new Map<string, Avoidance>();
  const listeners = new Set<() => void>();
  /** One that was late is remembered for a while after. */
  const forget = (): void => {
    const nowMs = clock.monotonic();
    for (const [agentId, { untilMs }] of known) if (untilMs + avoidMs <= nowMs) known.delete(agentId);
  };
  const inForce = (): readonly (readonly [string, Avoidance])[] => {
    forget();
    const nowMs = clock.monotonic();
    return [...known].filter(([, { untilMs }]) => untilMs > nowMs);
  };
  return {
    avoid(agentId, cause) {
      forget();
      const before = known.get(agentId);
      known.delete(agentId);
      const oldest = known.size >= maxAvoided ? known.keys().next().value : undefined;
      if (oldest !== undefined) known.delete(oldest);
      const lateMs = before === undefined ? firstLateMs : Math.min(avoidMs, 2 * before.forMs);
      const forMs = cause === "late" ? lateMs : avoidMs;
      known.set(agentId, { forMs, untilMs: clock.monotonic() + forMs });
      for (const listener of listeners) listener();
    },
    forgive: (agentId) => void known.delete(agentId),
    current: () => new Set(inForce().map(([agentId]) => agentId)),
    leftMs() {
      const nowMs = clock.monotonic();
      return new Map(inForce().map(([agentId, { untilMs }]) => [agentId, untilMs - nowMs]));
    },
    endsInMs() {
      const ends = inForce().map(([, { untilMs }]) => untilMs);
      return ends.length === 0 ? null : Math.min(...ends) - clock.monotonic();
    },
    onAvoided(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
