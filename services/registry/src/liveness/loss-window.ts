/** How many agents were lost of late: whether a loss is one agent's fault or that of something between. */
import { type Flapping, isMassFlap, MASS_FLAP_WINDOW_MS } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoredAgent } from "../store/stored-agent.ts";

/** Before it is seen that many are lost, the first of them have been blamed: they are to be forgiven. */
export type LossVerdict =
  | { readonly kind: "single" }
  | { readonly kind: "mass"; readonly forgiven: ReadonlyMap<string, Flapping> };

export class LossWindow {
  readonly #fleet: Fleet;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #losses = 0;
  #online = 0;
  /** Who was blamed in this window, with what was remembered of it before. */
  #blamed = new Map<string, Flapping>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** One more loss. */
  add({ agentId, flapping }: StoredAgent, nowMs: number): LossVerdict {
    if (nowMs - this.#startedAtMs >= MASS_FLAP_WINDOW_MS) {
      this.#startedAtMs = nowMs;
      this.#losses = 0;
      this.#online = countOnline(this.#fleet);
      this.#blamed = new Map();
    }
    this.#losses += 1;
    if (!isMassFlap(this.#losses, this.#online)) {
      if (!this.#blamed.has(agentId)) this.#blamed.set(agentId, flapping);
      return { kind: "single" };
    }
    const forgiven = this.#blamed;
    this.#blamed = new Map();
    return { kind: "mass", forgiven };
  }
}

function countOnline(fleet: Fleet): number {
  let online = 0;
  for (const { status } of fleet.agents()) if (status === "online") online += 1;
  return online;
}
