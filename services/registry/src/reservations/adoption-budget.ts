/**
 * How many attempts that nobody has reserved an agent may tell of. Each is given a row, which stays as a tombstone for ten minutes after
 * its end: without a bound one agent that lists others in each beat fills memory, and the database until no registry can start.
 */
import { type EpochMs, TOMBSTONE_MS } from "@headroom/scheduling";

/**
 * Within the life of a tombstone. A sample lists 4,096 at most, and what an agent runs was reserved: only when the registry's rows were
 * lost does it tell of all that runs, once. Twice that much no agent has a reason for.
 */
export const MAX_ADOPTED = 8_192;
/** What was adopted is forgotten at this pace, so that tombstones go as fast as new ones may come. */
const FORGOTTEN_PER_MS = MAX_ADOPTED / TOMBSTONE_MS;

interface Adopted {
  readonly count: number;
  readonly atMs: EpochMs;
}

export class AdoptionBudget {
  /** By agent, those that adopted longest ago first. */
  readonly #adopted = new Map<string, Adopted>();

  /** Whether the agent may be given rows for so many more. */
  allows(agentId: string, more: number, nowMs: EpochMs): boolean {
    return this.#countOf(agentId, nowMs) + more <= MAX_ADOPTED;
  }

  adopted(agentId: string, more: number, nowMs: EpochMs): void {
    const count = this.#countOf(agentId, nowMs) + more;
    this.#adopted.delete(agentId);
    this.#adopted.set(agentId, { count, atMs: nowMs });
    for (const [oldest, { atMs }] of this.#adopted) {
      if (nowMs - atMs < TOMBSTONE_MS) break;
      this.#adopted.delete(oldest);
    }
  }

  get agents(): number {
    return this.#adopted.size;
  }

  #countOf(agentId: string, nowMs: EpochMs): number {
    const adopted = this.#adopted.get(agentId);
    if (adopted === undefined) return 0;
    // The store's clock may be set back.
    const elapsedMs = Math.max(0, nowMs - adopted.atMs);
    return Math.max(0, adopted.count - elapsedMs * FORGOTTEN_PER_MS);
  }
}
