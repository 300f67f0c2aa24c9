/** The gate's verdict, kept up with each agent that comes, changes or goes: a question then costs the same however many there are. */
import type { GateAgent, GateFigure, GateQuestion, GateSummary } from "./gate.ts";
import { needsGpu } from "./needs.ts";

export class GateSums {
  readonly #threshold: number;
  #online = 0;
  #withGpu = 0;
  #cpuPercents = 0;
  #gpuPercents = 0;
  /** Online agents that are below on what such work uses; `anything`: on anything that they have. */
  readonly #below = { cpu: 0, gpu: 0, anything: 0 };

  /** `threshold`: a fraction, 0..1. */
  constructor(threshold: number) {
    this.#threshold = threshold;
  }

  add(agent: GateAgent): void {
    this.#count(agent, 1);
  }

  /** As it was added. */
  drop(agent: GateAgent): void {
    this.#count(agent, -1);
    // Nothing is left of what adding and taking away cannot represent.
    if (this.#online === 0) this.#cpuPercents = 0;
    if (this.#withGpu === 0) this.#gpuPercents = 0;
  }

  verdict(task: GateQuestion["task"]): GateSummary {
    const agentsBelow = this.#below[task === null ? "anything" : needsGpu(task) ? "gpu" : "cpu"];
    const pause = agentsBelow === this.#online;
    return {
      pause,
      reason: this.#online === 0 ? "NO_AGENT_ONLINE" : pause ? "FLEET_BELOW_THRESHOLD" : null,
      threshold: this.#threshold,
      agentsOnline: this.#online,
      agentsBelow,
      averageCpuFreePercent: this.#online === 0 ? 0 : this.#cpuPercents / this.#online,
      averageGpuFreePercent: this.#withGpu === 0 ? null : this.#gpuPercents / this.#withGpu,
    };
  }

  #count({ online, cpu, vram }: GateAgent, sign: 1 | -1): void {
    if (!online) return;
    this.#online += sign;
    this.#cpuPercents += sign * freePercent(cpu);
    if (vram !== null) {
      this.#withGpu += sign;
      this.#gpuPercents += sign * freePercent(vram);
    }
    const isBelowCpu = isBelow(cpu, this.#threshold);
    const isBelowGpu = isBelow(vram, this.#threshold);
    if (isBelowCpu) this.#below.cpu += sign;
    if (isBelowCpu || isBelowGpu) this.#below.gpu += sign;
    if (isBelowCpu || (vram !== null && isBelowGpu)) this.#below.anything += sign;
  }
}

/** Nothing to give is below, whatever the threshold. */
export function isBelow(given: GateFigure | null, threshold: number): boolean {
  return given === null || given.ceiling <= 0 || share(given) < threshold;
}

/** 0..100. */
export function freePercent(given: GateFigure | null): number {
  return 100 * share(given);
}

function share(given: GateFigure | null): number {
  return given === null || given.ceiling <= 0 ? 0 : given.free / given.ceiling;
}
