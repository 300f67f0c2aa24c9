/** One coarse sweep over the fleet once a second: whose silence has become a verdict. No timer per agent. */
import { type Logger, type Ports, RunLoop } from "@headroom/runtime";
import { isProbationOver, massLossBrake, sweepVerdict, ttlMs } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import type { Drains } from "./drains.ts";
import type { Liveness } from "./liveness.ts";
import type { Pulses } from "./pulses.ts";
import type { StateWriter } from "./state-writer.ts";

export interface SweepOptions {
  readonly fleet: Fleet;
  readonly pulses: Pulses;
  readonly liveness: Liveness;
  readonly writer: StateWriter;
  readonly drains: Drains;
  readonly storeClock: StoreClock;
  readonly ports: Ports;
  readonly logger: Logger;
  /** Of agents that have not been told another one. */
  readonly intervalMs: () => number;
  readonly graceMs: number;
  /** This process. */
  readonly replicaId: string;
  /** Agents that another living registry process holds: their verdicts are its own. */
  readonly isHeldElsewhere: (agent: StoredAgent) => boolean;
  /** The agent has been given up: end what is left of its stream. */
  readonly onOffline: (agentId: string) => void;
}

export const SWEEP_INTERVAL_MS = 1_000;

/** The loop, and the brake on its verdicts. */
export class Sweep {
  readonly loop: RunLoop;
  readonly #options: SweepOptions;
  #sweptAtMs: number | null = null;
  #brakeSinceMs: number | null = null;
  /** Losses that have passed since the brake took hold. */
  #passed = 0;
  #isConfirmed = false;
  #isEngaged = false;
  #held = 0;

  constructor(options: SweepOptions) {
    this.#options = options;
    this.loop = new RunLoop({
      name: "liveness-sweep",
      ports: options.ports,
      intervalMs: SWEEP_INTERVAL_MS,
      errorDelayMs: SWEEP_INTERVAL_MS,
      run: () => this.#sweep(),
      onError: (error) => options.logger.error({ err: error }, "the liveness sweep failed; it goes on in a second"),
    });
  }

  /** Agents that the mass-loss brake keeps from going offline at this moment. */
  get heldAgents(): number {
    return this.#held;
  }

  /** An operator says that those are really gone. Without an engaged brake it changes nothing. */
  confirmLosses(): void {
    if (this.#held === 0) return;
    this.#isConfirmed = true;
    this.loop.wake("losses confirmed");
  }

  async #sweep(): Promise<void> {
    const { liveness, drains, ports, graceMs, replicaId, isHeldElsewhere } = this.#options;
    const nowMs = ports.clock.monotonic();
    // While this process was slow it may have been deaf as well: its lateness is added to every deadline.
    const latenessMs = this.#sweptAtMs === null ? 0 : Math.max(0, nowMs - this.#sweptAtMs - SWEEP_INTERVAL_MS);
    this.#sweptAtMs = nowMs;
    const lost: StoredAgent[] = [];
    let living = 0;
    let imminent = 0;
    for (const known of this.#options.fleet.agents()) {
      if (isHeldElsewhere(known)) continue;
      const agent = this.#endWhatIsOver(known);
      if (agent.status === "offline") continue;
      living += 1;
      const verdict = this.#verdictOn(agent, { nowMs, graceMs, latenessMs });
      const followsMs = nowMs + this.#intervalOf(agent);
      if (this.#verdictOn(agent, { nowMs: followsMs, graceMs, latenessMs }) === "grace_ended") imminent += 1;
      if (verdict === "grace_ended") lost.push(agent);
      else if (verdict === "ttl_missed") {
        // Whoever is on its way here from a process that has stopped is not blamed for being late.
        const isFlap = agent.replicaId === replicaId;
        liveness.apply(agent.agentId, "ttl_missed", `no beat for ${ttlMs(this.#intervalOf(agent)) / 1_000} s`, {
          isFlap,
        });
      }
    }
    for (const agent of lost.slice(0, this.#allowedVerdicts(lost.length, imminent, living, nowMs))) this.#giveUp(agent);
    await drains.finish();
  }

  /** What time has ended for an agent besides: a drain, a probation. Answers the agent as it is then. */
  #endWhatIsOver(agent: StoredAgent): StoredAgent {
    const { fleet, writer, drains, storeClock } = this.#options;
    drains.look(agent);
    if (agent.flapping.probationUntilMs === null || !isProbationOver(agent.flapping, storeClock.now())) return agent;
    const released = { ...agent, flapping: { ...agent.flapping, probationUntilMs: null } };
    fleet.put(released);
    writer.statusChanged(agent.agentId);
    return released;
  }

  #intervalOf({ agentId }: StoredAgent): number {
    return this.#options.pulses.get(agentId)?.intervalMs ?? this.#options.intervalMs();
  }

  #verdictOn(
    agent: StoredAgent,
    sweep: { readonly nowMs: number; readonly graceMs: number; readonly latenessMs: number },
  ): "ttl_missed" | "grace_ended" | null {
    const { pulses } = this.#options;
    const pulse = pulses.get(agent.agentId);
    if (pulse === undefined) {
      // Known from the store only, so it counts from now on.
      pulses.heard(agent.agentId, sweep.nowMs);
      pulses.doubt(agent.agentId, agent.status !== "online", sweep.nowMs);
      return null;
    }
    const { heardAtMs, doubtedSinceMs } = pulse;
    const intervalMs = this.#intervalOf(agent);
    return sweepVerdict({ status: agent.status, lastHeardAtMs: heardAtMs, doubtedSinceMs, intervalMs }, sweep);
  }

  /** How many of the losses may be declared in this sweep. */
  #allowedVerdicts(losses: number, imminent: number, fleetSize: number, nowMs: number): number {
    const { graceMs, logger } = this.#options;
    const brake = massLossBrake({
      losses,
      imminent,
      passed: this.#passed,
      fleetSize,
      engagedSinceMs: this.#brakeSinceMs,
      nowMs,
      graceMs,
      confirmed: this.#isConfirmed,
    });
    if (brake.kind === "engaged" && !this.#isEngaged) {
      logger.error(
        { losses, imminent, agents: fleetSize },
        "very many agents would go offline at once: kept suspect, for the fault may be ours. If they are really gone: headroom agents confirm-losses",
      );
    }
    if (this.#isEngaged && brake.kind === "released") {
      const why = this.#isConfirmed ? "an operator confirmed the losses" : "they are back, or their time is over";
      logger.warn({ losses, agents: fleetSize }, `agents are no longer kept from going offline: ${why}`);
    }
    this.#isEngaged = brake.kind === "engaged";
    this.#brakeSinceMs = brake.sinceMs;
    this.#passed = brake.sinceMs === null ? 0 : this.#passed + brake.allowedVerdicts;
    this.#held = brake.kind === "engaged" ? losses - brake.allowedVerdicts : 0;
    if (brake.kind === "released") this.#isConfirmed = false;
    return brake.allowedVerdicts;
  }

  #giveUp(agent: StoredAgent): void {
    const { liveness, graceMs, onOffline } = this.#options;
    const after = `${graceMs / 1_000} s`;
    const reason =
      agent.status === "unknown"
        ? `did not come back within ${after} of the registry's restart`
        : `${agent.statusReason}, and did not come back within ${after}`;
    if (liveness.apply(agent.agentId, "grace_ended", reason)) onOffline(agent.agentId);
  }
}
