/** Applies what happens to agents to the fleet: by the table of the pure core, then in memory, then to the store. */
import type { Clock, Logger } from "@headroom/runtime";
import { type LivenessEvent, livenessStep } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import type { Pulses } from "./pulses.ts";
import type { StateWriter } from "./state-writer.ts";

export interface LivenessOptions {
  readonly fleet: Fleet;
  readonly pulses: Pulses;
  readonly writer: StateWriter;
  readonly storeClock: StoreClock;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Liveness {
  readonly #options: LivenessOptions;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  /**
   * Something happened to an agent that is in the fleet. Answers false when the table refuses the event. `persist` false
   * keeps the change to this process, for what only it believes.
   */
  apply(agentId: string, event: LivenessEvent, reason: string, options: { readonly persist?: boolean } = {}): boolean {
    const { fleet, pulses, writer, storeClock, clock, logger } = this.#options;
    const agent = fleet.get(agentId);
    if (agent === undefined) return false;
    const outcome = livenessStep(agent.status, event);
    if (outcome.kind === "rejected" || outcome.to === "removed") return false;
    if (outcome.to === agent.status) return true;
    const changed: StoredAgent = {
      ...agent,
      status: outcome.to,
      statusReason: reason,
      statusSinceMs: storeClock.now(),
    };
    pulses.doubt(agentId, outcome.to === "suspect" || outcome.to === "unknown", clock.monotonic());
    fleet.put(changed);
    if (options.persist !== false) writer.statusChanged(agentId);
    const fields = { agent_id: agentId, hostname: agent.hostname, from: agent.status, to: outcome.to, reason };
    if (outcome.to === "online" || event === "goodbye") logger.info(fields, `agent is ${outcome.to}: ${reason}`);
    else logger.warn(fields, `agent is ${outcome.to}: ${reason}`);
    return true;
  }
}
