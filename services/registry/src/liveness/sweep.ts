/**
 * One coarse sweep once a second: whose silence has become a verdict. No timer per agent, and no look at one that beats as it was told: an
 * agent is looked at when its silence could count, and every second while something about it ends by time.
 */
import { type Logger, type Ports, RunLoop } from "@headroom/runtime";
import { isProbationOver, massLossBrake, sweepVerdict, ttlMs } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoreClock } from "../fleet/store-clock.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import type { Drains } from "./drains.ts";
import type { Liveness } from "./liveness.ts";
import type { Pulse, Pulses } from "./pulses.ts";
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

interface SweepTime {
  readonly nowMs: number;
  readonly graceMs: number;
  readonly latenessMs: number;
}

/** The loop, and the brake on its verdicts. */
export class Sweep {
  readonly loop: RunLoop;
  readonly #options: SweepOptions;
  /** Agents to look at in the next sweep, whenever their time is. */
  #changed = new Set<string>();
  #sweptAtMs: number | null = null;
  #brakeSinceMs: number | null = null;
  /** Losses that have passed since the brake took hold. */
  #passed = 0;
  #isConfirmed = false;
  #isEngaged = false;
  #held = 0;

  constructor(options: SweepOptions) {
    this.#options = options;
    this.#lookAtAll();
    options.fleet.onChange(({ before, after }) => {
      if (after !== null && (before === null || isToBeLookedAt(before, after))) this.#changed.add(after.agentId);
    });
    this.loop = new RunLoop({
      name: "liveness-sweep",
      ports: options.ports,
      intervalMs: SWEEP_INTERVAL_MS,
      errorDelayMs: SWEEP_INTERVAL_MS,
      run: () => this.#sweep(),
      onError: (error) => {
        options.logger.error({ err: error }, "the liveness sweep failed; it goes on in a second");
        // Some of those that it had taken were not looked at.
        this.#lookAtAll();
      },
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

  #sweep(): void {
    const { drains, ports, graceMs } = this.#options;
    const nowMs = ports.clock.monotonic();
    // While this process was slow it may have been deaf as well: its lateness is added to every deadline.
    const latenessMs = this.#sweptAtMs === null ? 0 : Math.max(0, nowMs - this.#sweptAtMs - SWEEP_INTERVAL_MS);
    this.#sweptAtMs = nowMs;
    const lost: StoredAgent[] = [];
    let imminent = 0;
    for (const { agent, pulse } of this.#takeDue(nowMs)) {
      const found = this.#lookAt(agent, pulse, { nowMs, graceMs, latenessMs });
      if (found.isLost) lost.push(agent);
      if (found.isImminent) imminent += 1;
    }
    for (const agent of lost.slice(0, this.#allowedVerdicts(lost.length, imminent, nowMs))) this.#giveUp(agent);
    drains.finishSoon();
  }

  #lookAtAll(): void {
    for (const { agentId } of this.#options.fleet.agents()) this.#changed.add(agentId);
  }

  /** Those at which it is time to look, and those that have changed. */
  #takeDue(nowMs: number): { readonly agent: StoredAgent; readonly pulse: Pulse }[] {
    const { fleet, pulses } = this.#options;
    const changed = this.#changed;
    this.#changed = new Set();
    const due = pulses.takeDue(nowMs).filter(({ agentId }) => !changed.has(agentId));
    for (const agentId of changed) {
      const agent = fleet.get(agentId);
      if (agent !== undefined) due.push(pulses.get(agentId) ?? this.#firstPulse(agent, nowMs));
    }
    return due.flatMap((pulse) => {
      const agent = fleet.get(pulse.agentId);
      return agent === undefined ? [] : [{ agent, pulse }];
    });
  }

  /** Known from the store only: its silence counts from now on. */
  #firstPulse({ agentId, status }: StoredAgent, nowMs: number): Pulse {
    const { pulses } = this.#options;
    const pulse = pulses.heard(agentId, nowMs);
    pulses.doubt(agentId, status !== "online", nowMs);
    return pulse;
  }

  /** What there is to say of one agent now, and when to look again. */
  #lookAt(
    known: StoredAgent,
    pulse: Pulse,
    sweep: SweepTime,
  ): { readonly isLost: boolean; readonly isImminent: boolean } {
    const { liveness, pulses, replicaId, isHeldElsewhere } = this.#options;
    const nothing = { isLost: false, isImminent: false };
    if (isHeldElsewhere(known)) {
      pulses.lookAt(pulse, sweep.nowMs);
      return nothing;
    }
    const agent = this.#endWhatIsOver(known);
    const intervalMs = pulse.intervalMs ?? this.#options.intervalMs();
    const endsByTime = agent.draining || agent.flapping.probationUntilMs !== null;
    if (agent.status === "offline") {
      if (endsByTime) pulses.lookAt(pulse, sweep.nowMs);
      return nothing;
    }
    const isSteady = agent.status === "online" && pulse.intervalMs !== null && !endsByTime;
    pulses.lookAt(pulse, isSteady ? pulse.heardAtMs + ttlMs(intervalMs) : sweep.nowMs);
    const verdict = verdictOn(agent, pulse, intervalMs, sweep);
    const next = verdictOn(agent, pulse, intervalMs, { ...sweep, nowMs: sweep.nowMs + intervalMs });
    if (verdict === "ttl_missed") {
      // Whoever is on its way here from a process that has stopped is not blamed for being late.
      const isFlap = agent.replicaId === replicaId;
      liveness.apply(agent.agentId, "ttl_missed", `no beat for ${ttlMs(intervalMs) / 1_000} s`, { isFlap });
    }
    return { isLost: verdict === "grace_ended", isImminent: next === "grace_ended" };
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

  /** How many of the losses may be declared in this sweep. */
  #allowedVerdicts(losses: number, imminent: number, nowMs: number): number {
    if (losses === 0 && imminent === 0 && this.#brakeSinceMs === null) return 0;
    const { graceMs, logger } = this.#options;
    const fleetSize = this.#countLiving();
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

  /** Agents of this process that are not offline. */
  #countLiving(): number {
    const { fleet, isHeldElsewhere } = this.#options;
    let living = 0;
    for (const agent of fleet.agents()) if (agent.status !== "offline" && !isHeldElsewhere(agent)) living += 1;
    return living;
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

/** Samples and reservations change all the time, and end nothing. */
function isToBeLookedAt(before: StoredAgent, after: StoredAgent): boolean {
  return (
    before.status !== after.status ||
    before.draining !== after.draining ||
    before.replicaId !== after.replicaId ||
    before.flapping.probationUntilMs !== after.flapping.probationUntilMs
  );
}

function verdictOn(
  { status }: StoredAgent,
  { heardAtMs, doubtedSinceMs }: Pulse,
  intervalMs: number,
  sweep: SweepTime,
): ReturnType<typeof sweepVerdict> {
  return sweepVerdict({ status, lastHeardAtMs: heardAtMs, doubtedSinceMs, intervalMs }, sweep);
}
