import type { Clock } from "@headroom/runtime";

/** Agents to which a delivery has just failed: not used again for a while. Bounded by what a reservation may name. */
export interface AvoidedAgents {
  avoid(agentId: string): void;
  /** It is back, by its own word. */
  forgive(agentId: string): void;
  current(): ReadonlySet<string>;
  /** Until the first of them may be used again; null when none is avoided. */
  endsInMs(): number | null;
}

export const avoidMs = 30_000;
const maxAvoided = 256;

export function createAvoidedAgents(clock: Clock): AvoidedAgents {
  const untilMs = new Map<string, number>();
  const forget = (): void => {
    const nowMs = clock.monotonic();
    for (const [agentId, endMs] of untilMs) if (endMs <= nowMs) untilMs.delete(agentId);
  };
  return {
    avoid(agentId) {
      forget();
      untilMs.delete(agentId);
      const oldest = untilMs.size >= maxAvoided ? untilMs.keys().next().value : undefined;
      if (oldest !== undefined) untilMs.delete(oldest);
      untilMs.set(agentId, clock.monotonic() + avoidMs);
    },
    forgive: (agentId) => void untilMs.delete(agentId),
    current() {
      forget();
      return new Set(untilMs.keys());
    },
    endsInMs() {
      forget();
      return untilMs.size === 0 ? null : Math.min(...untilMs.values()) - clock.monotonic();
    },
  };
}
