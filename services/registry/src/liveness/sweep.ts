/** One coarse sweep over the fleet once a second: whose silence has become a verdict. No timer per agent. */
import { type Logger, type Ports, RunLoop } from "@headroom/runtime";
import { massLossBrake, sweepVerdict, ttlMs } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import type { Liveness } from "./liveness.ts";
import type { Pulses } from "./pulses.ts";

export interface SweepOptions {
  readonly fleet: Fleet;
  readonly pulses: Pulses;
  readonly liveness: Liveness;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly intervalMs: number;
  readonly graceMs: number;
  /** Agents that another living registry process holds: their verdicts are its own. */
  readonly isHeldElsewhere: (agent: StoredAgent) => boolean;
  /** The agent has been given up: end what is left of its stream. */
  readonly onOffline: (agentId: string) => void;
}

export const SWEEP_INTERVAL_MS = 1_000;

interface Sweeping {
  sweptAtMs: number | null;
  brakeSinceMs: number | null;
}

/** The loop. Its lateness is added to every deadline: while this process was slow it may have been deaf as well. */
export function createSweep(options: SweepOptions): RunLoop {
  const sweeping: Sweeping = { sweptAtMs: null, brakeSinceMs: null };
  return new RunLoop({
    name: "liveness-sweep",
    ports: options.ports,
    intervalMs: SWEEP_INTERVAL_MS,
    errorDelayMs: SWEEP_INTERVAL_MS,
    run: () => sweepOnce(options, sweeping),
    onError: (error) => options.logger.error({ err: error }, "the liveness sweep failed; it goes on in a second"),
  });
}

function sweepOnce(options: SweepOptions, sweeping: Sweeping): void {
  const { fleet, liveness, ports, intervalMs, graceMs } = options;
  const nowMs = ports.clock.monotonic();
  const latenessMs = sweeping.sweptAtMs === null ? 0 : Math.max(0, nowMs - sweeping.sweptAtMs - SWEEP_INTERVAL_MS);
  sweeping.sweptAtMs = nowMs;
  const lost: StoredAgent[] = [];
  let living = 0;
  for (const agent of [...fleet.agents()]) {
    if (agent.status === "offline" || options.isHeldElsewhere(agent)) continue;
    living += 1;
    const verdict = verdictOn(agent, options, { nowMs, graceMs, latenessMs });
    if (verdict === "grace_ended") lost.push(agent);
    else if (verdict === "ttl_missed") {
      liveness.apply(agent.agentId, "ttl_missed", `no beat for ${ttlMs(intervalMs) / 1_000} s`);
    }
  }
  const brake = massLossBrake({
    losses: lost.length,
    fleetSize: living,
    engagedSinceMs: sweeping.brakeSinceMs,
    nowMs,
    graceMs,
    confirmed: false,
  });
  if (brake.kind === "engaged" && sweeping.brakeSinceMs === null) {
    options.logger.error(
      { losses: lost.length, agents: living },
      "very many agents would go offline at once: held back, for the fault may be ours",
    );
  }
  sweeping.brakeSinceMs = brake.sinceMs;
  for (const agent of lost.slice(0, brake.allowedVerdicts)) giveUp(agent, options);
}

function verdictOn(
  agent: StoredAgent,
  { pulses, intervalMs }: SweepOptions,
  sweep: { readonly nowMs: number; readonly graceMs: number; readonly latenessMs: number },
): "ttl_missed" | "grace_ended" | null {
  const pulse = pulses.get(agent.agentId);
  if (pulse === undefined) {
    // Known from the store only, so it counts from now on.
    pulses.heard(agent.agentId, sweep.nowMs);
    pulses.doubt(agent.agentId, agent.status !== "online", sweep.nowMs);
    return null;
  }
  const { heardAtMs, doubtedSinceMs } = pulse;
  return sweepVerdict({ status: agent.status, lastHeardAtMs: heardAtMs, doubtedSinceMs, intervalMs }, sweep);
}

function giveUp(agent: StoredAgent, { liveness, graceMs, onOffline }: SweepOptions): void {
  const after = `${graceMs / 1_000} s`;
  const reason =
    agent.status === "unknown"
      ? `did not come back within ${after} of the registry's restart`
      : `${agent.statusReason}, and did not come back within ${after}`;
  if (liveness.apply(agent.agentId, "grace_ended", reason)) onOffline(agent.agentId);
}
