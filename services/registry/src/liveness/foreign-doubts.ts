/**
 * While this process cannot follow the others, what it knew of their agents grows old: they are doubted here, so that nobody is told figures from before.
 * In memory only, for the processes that hold them know better, and are believed again as soon as they can be read.
 */
import type { Clock } from "@headroom/runtime";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import type { Liveness } from "./liveness.ts";
import type { Pulses } from "./pulses.ts";

export interface ForeignDoubtsOptions {
  readonly fleet: Fleet;
  readonly pulses: Pulses;
  readonly liveness: Liveness;
  readonly clock: Clock;
}

const REASON = "this registry process cannot follow the one that holds it";

export class ForeignDoubts {
  readonly #options: ForeignDoubtsOptions;
  /** Doubted agents, as they were before. */
  readonly #before = new Map<string, StoredAgent>();

  constructor(options: ForeignDoubtsOptions) {
    this.#options = options;
  }

  /** Doubts those that are online; answers how many. */
  begin(isForeign: (agent: StoredAgent) => boolean): number {
    const { fleet, liveness } = this.#options;
    for (const agent of [...fleet.agents()]) {
      if (agent.status !== "online" || !isForeign(agent)) continue;
      this.#before.set(agent.agentId, agent);
      liveness.apply(agent.agentId, "stream_closed", REASON, { isFlap: false, persist: false });
    }
    return this.#before.size;
  }

  /** Takes the doubts of these back: whatever comes next counts from now. What was learned of them meanwhile stays. */
  end(isMeant: (agent: StoredAgent) => boolean = () => true): void {
    const { fleet, pulses, clock } = this.#options;
    for (const [agentId, before] of this.#before) {
      if (!isMeant(before)) continue;
      this.#before.delete(agentId);
      const agent = fleet.get(agentId);
      if (agent?.statusReason !== REASON || agent.epoch !== before.epoch) continue;
      const { status, statusReason, statusSinceMs } = before;
      pulses.doubt(agentId, false, clock.monotonic());
      fleet.put({ ...agent, status, statusReason, statusSinceMs });
    }
  }
}
