/**
 * Agents that are being emptied: a drain ends when nothing has room there any more. When its deadline passes, whoever
 * watches is told what is still there, and each Ack to the agent names it: the agent ends it and tells the orchestrator. Room that is
 * kept for what waits is given back.
 */
import { type Logger, Outage } from "@headroom/runtime";
import type { Fleet } from "../fleet/fleet.ts";
import { mergeAdministered } from "../fleet/merge-loaded.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import type { ReservationDesk } from "../reservations/desk.ts";
import { idsOf } from "../reservations/ids-of.ts";
import { releaseKeptOperation } from "../reservations/release-kept.ts";
import type { RegistryStore } from "../store/registry-store.ts";
import type { StoredAgent } from "../store/stored-agent.ts";

export interface DrainsOptions {
  readonly fleet: Fleet;
  readonly store: RegistryStore;
  readonly storeClock: StoreClock;
  readonly desk: Pick<ReservationDesk, "submit">;
  readonly logger: Logger;
}

/** Drains ended by one statement, and agents on which kept room is given back by one operation. */
const MAX_ENDED = 1_000;

export class Drains {
  readonly #options: DrainsOptions;
  readonly #empty = new Set<string>();
  /** Their deadline has passed, and room is kept there. */
  readonly #keeping = new Set<string>();
  /** Deadlines that have been told, by agent. */
  readonly #told = new Map<string, number>();
  #finishing: Promise<void> | null = null;
  readonly #releasing: Outage;
  readonly #ending: Outage;

  constructor(options: DrainsOptions) {
    this.#options = options;
    this.#releasing = new Outage(options.logger, {
      fails: "room that was kept on agents that are drained cannot be given back now; tried again every second",
      works: "room that was kept on agents that are drained is given back again",
    });
    this.#ending = new Outage(options.logger, {
      fails: "drains that are over cannot be ended now; tried again every second",
      works: "drains are ended again",
    });
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
    if (this.#keeping.size < MAX_ENDED && keepsRoom(agent)) this.#keeping.add(agentId);
    if (this.#told.get(agentId) === drainDeadlineMs) return;
    this.#told.set(agentId, drainDeadlineMs);
    // The same facts at a later time: watchers learn what is to be evicted.
    fleet.put({ ...agent });
    logger.warn({ agent_id: agentId, attempts }, "the drain's deadline has passed, and attempts still have room there");
  }

  /**
   * Begins to give kept room back and to end the drains that were found to be over, unless that is under way. Neither keeps the other from its work, nor
   * the sweep, which waits for no database; what fails now is found again in a second.
   */
  finishSoon(): void {
    this.#finishing ??= this.#finish().finally(() => (this.#finishing = null));
  }

  /** Resolves when nothing of it is under way. */
  async idle(): Promise<void> {
    await this.#finishing;
  }

  async #finish(): Promise<void> {
    await this.#releaseKept();
    await this.#endEmpty();
  }

  async #releaseKept(): Promise<void> {
    if (this.#keeping.size === 0) return;
    const { desk, logger } = this.#options;
    const agentIds = [...this.#keeping];
    this.#keeping.clear();
    try {
      const ended = await desk.submit(releaseKeptOperation(agentIds));
      logger.together(() => {
        for (const reservation of ended)
          logger.info(idsOf(reservation), "room that was kept is given back: its agent is to be empty by now");
      });
      this.#releasing.worked();
    } catch (error) {
      this.#releasing.failed(error);
    }
  }

  async #endEmpty(): Promise<void> {
    if (this.#empty.size === 0) return;
    const { store, storeClock } = this.#options;
    const agentIds = [...this.#empty];
    this.#empty.clear();
    try {
      const { agents, nowMs } = await store.endDrains(agentIds);
      storeClock.observe(nowMs);
      for (const stored of agents) this.#learn(stored);
      this.#ending.worked();
    } catch (error) {
      this.#ending.failed(error);
    }
  }

  /** The drain has ended, now or when the answer was lost; or room was promised there of which this process had not heard. */
  #learn(stored: StoredAgent): void {
    const { fleet, logger } = this.#options;
    const current = fleet.get(stored.agentId);
    if (current === undefined) return;
    const { agentId, hostname } = current;
    const merged = mergeAdministered(current, stored);
    fleet.put(merged);
    // An operator may have ended it meanwhile: that uncordons.
    const isDrained = current.draining && !merged.draining && merged.cordoned;
    if (isDrained) logger.info({ agent_id: agentId, hostname }, "agent is drained: nothing has room there");
  }
}

function keepsRoom({ reservations }: StoredAgent): boolean {
  for (const { state } of reservations.held()) if (state === "hold") return true;
  return false;
}
