import { classifyError } from "@headroom/postgres";
import type { Clock } from "@headroom/runtime";
import type { AttemptKnown, FencedAttempt } from "../store/model.ts";
import type { OrchestratorStore, Renewal } from "../store/port.ts";

/** A plan of which an attempt was waited for in vain is not waited for again for so long. */
const notWaitedForMs = 5_000;
/** Attempts of one renewal that are waited for, each a quarter of a second at most, and how many at once. */
const mostWaitedFor = 32;
const atOnce = 2;

/**
 * Renews leases. An attempt may be locked for a moment, by its own output for instance, and is waited for; or for minutes, by an open psql
 * or a frozen replica, and then the leases of all others are renewed without it.
 */
export class Renewals {
  readonly #store: Pick<OrchestratorStore, "renewLeases">;
  readonly #clock: Pick<Clock, "monotonic">;
  /** Plans that were waited for in vain, each with when they may be waited for again. */
  readonly #inVain = new Map<string, number>();

  constructor(store: Pick<OrchestratorStore, "renewLeases">, clock: Pick<Clock, "monotonic">) {
    this.#store = store;
    this.#clock = clock;
  }

  async renew(attempts: readonly FencedAttempt[], agentId: string): Promise<Renewal> {
    const { renewed, inUse } = await this.#store.renewLeases(attempts, agentId, "never");
    if (inUse.length === 0) return { renewed, inUse };
    this.#forget();
    const late: AttemptKnown[] = [];
    const waiting = inUse.filter(({ planId }) => !this.#inVain.has(planId)).slice(0, mostWaitedFor);
    const wait = async (): Promise<void> => {
      for (let attempt = waiting.shift(); attempt !== undefined; attempt = waiting.shift())
        if (!this.#inVain.has(attempt.planId)) late.push(...(await this.#waitFor(attempt, agentId)));
    };
    await Promise.all(Array.from({ length: atOnce }, wait));
    const lateIds = new Set(late.map(({ attemptId }) => attemptId));
    return { renewed: [...renewed, ...late], inUse: inUse.filter(({ attemptId }) => !lateIds.has(attemptId)) };
  }

  async #waitFor(attempt: AttemptKnown, agentId: string): Promise<readonly AttemptKnown[]> {
    try {
      return (await this.#store.renewLeases([attempt], agentId, "briefly")).renewed;
    } catch (error) {
      if (classifyError(error).kind !== "conflict") throw error;
      this.#inVain.set(attempt.planId, this.#clock.monotonic() + notWaitedForMs);
      return [];
    }
  }

  #forget(): void {
    const nowMs = this.#clock.monotonic();
    for (const [planId, untilMs] of this.#inVain) if (untilMs <= nowMs) this.#inVain.delete(planId);
  }
}
