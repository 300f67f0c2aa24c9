/** Applies what happens to agents to the fleet: by the table of the pure core, then in memory, then to the store. */
import type { Clock, Logger } from "@headroom/runtime";
import { afterFlap, type Flapping, forgiven, type LivenessEvent, livenessStep } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { LineBudget } from "./line-budget.ts";
import { LossWindow } from "./loss-window.ts";
import type { Pulses } from "./pulses.ts";
import type { StateWriter } from "./state-writer.ts";

export interface LivenessOptions {
  /** This process. */
  readonly replicaId: string;
  readonly fleet: Fleet;
  readonly pulses: Pulses;
  readonly writer: StateWriter;
  readonly storeClock: StoreClock;
  readonly clock: Clock;
  readonly logger: Logger;
  /** HEADROOM_FLAPS_TOLERATED. */
  readonly flapsTolerated: number;
  /** An agent has flapped. */
  readonly onFlap?: () => void;
}

export interface ApplyOptions {
  /** False keeps the change to this process, for what only it believes. */
  readonly persist?: boolean;
  /** False: the loss is not the agent's doing, such as the death of the registry process that held it. */
  readonly isFlap?: boolean;
}

export class Liveness {
  readonly #options: LivenessOptions;
  readonly #losses: LossWindow;
  readonly #lines = new LineBudget();

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#losses = new LossWindow(options.fleet, options.replicaId);
  }

  /** Something happened to an agent that is in the fleet. Answers false when the table refuses the event. */
  apply(agentId: string, event: LivenessEvent, reason: string, options: ApplyOptions = {}): boolean {
    const { fleet, pulses, writer, storeClock, clock } = this.#options;
    const agent = fleet.get(agentId);
    if (agent === undefined) return false;
    const outcome = livenessStep(agent.status, event);
    if (outcome.kind === "rejected" || outcome.to === "removed") return false;
    if (outcome.to === agent.status) return true;
    const isLoss = agent.status === "online" && outcome.to === "suspect";
    const changed: StoredAgent = {
      ...agent,
      status: outcome.to,
      statusReason: reason,
      statusSinceMs: storeClock.now(),
      ...(isLoss && options.isFlap !== false && { flapping: this.#flap(agent) }),
    };
    pulses.doubt(agentId, outcome.to === "suspect" || outcome.to === "unknown", clock.monotonic());
    fleet.put(changed);
    if (options.persist !== false) writer.statusChanged(agentId);
    const isGood = outcome.to === "online" || event === "goodbye";
    // What only this process believes says nothing of the agent.
    if (options.persist !== false) this.#say(isGood ? "info" : "warn", agent, outcome.to, reason);
    return true;
  }

  #say(level: "info" | "warn", { agentId, hostname, status }: StoredAgent, to: string, reason: string): void {
    const { clock, logger } = this.#options;
    const { mayWrite, withheld } = this.#lines.take(clock.monotonic());
    const fields = { agent_id: agentId, hostname, from: status, to, reason, ...(withheld > 0 && { withheld }) };
    // At debug all of them are there; else the metrics tell how many there are of each status.
    logger[mayWrite ? level : "debug"](fields, `agent is ${to}: ${reason}`);
  }

  /** One more flap, unless so many are lost at this moment that the agents are not to blame. */
  #flap(agent: StoredAgent): Flapping {
    const { fleet, clock, storeClock, logger, flapsTolerated, onFlap } = this.#options;
    const { agentId, hostname, flapping } = agent;
    const verdict = this.#losses.add(agent, clock.monotonic());
    if (verdict.kind === "mass") {
      this.#forgive(verdict.forgiven);
      return fleet.get(agentId)?.flapping ?? flapping;
    }
    onFlap?.();
    const after = afterFlap(flapping, storeClock.now(), flapsTolerated);
    if (after.probationUntilMs !== null && flapping.probationUntilMs === null) {
      const until = new Date(after.probationUntilMs).toISOString();
      const fields = { agent_id: agentId, hostname, flaps: after.flaps, probation_until: until };
      logger.warn(fields, `agent comes and goes: on probation, and not offered to work, until ${until}`);
    }
    return after;
  }

  /**
   * Of each what was remembered before it was blamed. Not of an agent that has moved to another process by now: the store takes nothing from this one of
   * what that one holds, so there the one flap lasts until it is forgotten by calm, and a probation that only this one ended would have its end twice.
   */
  #forgive(blameless: ReadonlyMap<string, Flapping>): void {
    const { fleet, writer, replicaId } = this.#options;
    for (const [agentId, before] of blameless) {
      const agent = fleet.get(agentId);
      if (agent === undefined || agent.replicaId !== replicaId) continue;
      fleet.put({ ...agent, flapping: forgiven(before, agent.flapping) });
      writer.statusChanged(agentId);
    }
  }
}
