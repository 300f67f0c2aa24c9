/**
 * Agents that are being emptied: a drain ends when nothing has room there any more. When its deadline passes, whoever
 * watches is told what is still there, and each Ack to the agent names it: the agent ends it and tells the orchestrator.
 */
import type { Logger } from "@headroom/runtime";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import { type RegistryStore, StoreUnavailableError } from "../store/registry-store.ts";
import type { StoredAgent } from "../store/stored-agent.ts";

export interface DrainsOptions {
  readonly fleet: Fleet;
  readonly store: RegistryStore;
  readonly storeClock: StoreClock;
  readonly logger: Logger;
}

/** Drains ended by one statement. */
const MAX_ENDED = 1_000;

export class Drains {
  readonly #options: DrainsOptions;
  readonly #empty = new Set<string>();
  /** Deadlines that have been told, by agent. */
  readonly #told = new Map<string, number>();

  constructor(options: DrainsOptions) {
    this.#options = options;
  }

  /** To be called for every agent, every second. */
  look(agent: StoredAgent): void {
    const { agentId, draining, drainDeadlineMs } = agent;
    if (!draining) {
      if (this.#told.size > 0) this.#told.delete(agentId);
      return;
    }
    const attempts = agent.reservations.heldCount;
    if (attempts === 0) {
      if (this.#empty.size < MAX_ENDED) this.#empty.add(agentId);
      return;
    }
    const { fleet, storeClock, logger } = this.#options;
    if (drainDeadlineMs === null || storeClock.now() < drainDeadlineMs) return;
    if (this.#told.get(agentId) === drainDeadlineMs) return;
    this.#told.set(agentId, drainDeadlineMs);
    // The same facts at a later time: watchers learn what is to be evicted.
    fleet.put({ ...agent });
    logger.warn({ agent_id: agentId, attempts }, "the drain's deadline has passed, and attempts still have room there");
  }

  /** Ends the drains that were found to be over. What the store cannot take now is found again in a second. */
  async finish(): Promise<void> {
    if (this.#empty.size === 0) return;
    const { fleet, store, storeClock, logger } = this.#options;
    const agentIds = [...this.#empty];
    this.#empty.clear();
    try {
      const { agents, nowMs } = await store.endDrains(agentIds);
      storeClock.observe(nowMs);
      for (const { agentId, cordonReason, draining, drainDeadlineMs } of agents) {
        const current = fleet.get(agentId);
        if (current === undefined) continue;
        fleet.put({ ...current, cordonReason, draining, drainDeadlineMs });
        logger.info({ agent_id: agentId, hostname: current.hostname }, "agent is drained: nothing has room there");
      }
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error;
      logger.debug({ err: error }, "drains cannot be ended now; tried again in a second");
    }
  }
}
