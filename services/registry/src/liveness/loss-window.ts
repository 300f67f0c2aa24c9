/** How many agents were lost of late: whether a loss is one agent's fault or that of something between. */
import { type Flapping, isMassFlap, MASS_FLAP_WINDOW_MS } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { StoredAgent } from "../store/stored-agent.ts";

/** Before it is seen that many are lost, the first of them have been blamed: they are to be forgiven. */
export type LossVerdict =
  | { readonly kind: "single" }
  | { readonly kind: "mass"; readonly forgiven: ReadonlyMap<string, Flapping> };

/** The agents are counted again when their number is older than this: each loss of many should not look at all of them. */
const RECOUNT_MS = 1_000;

/** One agent's losses within the window. */
interface Lost {
  readonly lastAtMs: number;
  /** What was remembered of it before it was blamed, and since when that is; null: it is not blamed. */
  readonly blame: { readonly sinceMs: number; readonly before: Flapping } | null;
}

/** The window slides: a loss of many has no border at which it would be halved. */
export class LossWindow {
  readonly #fleet: Fleet;
  readonly #replicaId: string;
  /** By agent, in the order of their last losses; so never more than there are agents. */
  readonly #lost = new Map<string, Lost>();
  #held = { agents: 0, countedAtMs: Number.NEGATIVE_INFINITY };

  /** `replicaId`: this process. Only its own agents are lost here, so only these are what losses are compared with. */
  constructor(fleet: Fleet, replicaId: string) {
    this.#fleet = fleet;
    this.#replicaId = replicaId;
  }

  /** One more loss of an agent that this process holds. */
  add({ agentId, flapping }: StoredAgent, nowMs: number): LossVerdict {
    this.#forget(nowMs - MASS_FLAP_WINDOW_MS);
    this.#count(nowMs);
    const before = this.#lost.get(agentId)?.blame ?? null;
    const blame = before !== null && nowMs - before.sinceMs < MASS_FLAP_WINDOW_MS ? before : null;
    this.#lost.delete(agentId);
    if (isMassFlap(this.#lost.size + 1, this.#held.agents)) {
      this.#lost.set(agentId, { lastAtMs: nowMs, blame });
      return { kind: "mass", forgiven: this.#forgive() };
    }
    this.#lost.set(agentId, { lastAtMs: nowMs, blame: blame ?? { sinceMs: nowMs, before: flapping } });
    return { kind: "single" };
  }

  /** What lies before the window. */
  #forget(beforeMs: number): void {
    for (const [agentId, { lastAtMs }] of this.#lost) {
      if (lastAtMs > beforeMs) return;
      this.#lost.delete(agentId);
    }
  }

  #forgive(): ReadonlyMap<string, Flapping> {
    const forgiven = new Map<string, Flapping>();
    for (const [agentId, lost] of this.#lost) {
      if (lost.blame === null) continue;
      forgiven.set(agentId, lost.blame.before);
      this.#lost.set(agentId, { ...lost, blame: null });
    }
    return forgiven;
  }

  /** Those that were lost within the window count: so the number stays the same while many are lost. Whoever was lost before is nobody to lose. */
  #count(nowMs: number): void {
    if (nowMs - this.#held.countedAtMs < RECOUNT_MS) return;
    let agents = 0;
    for (const { agentId, status, replicaId } of this.#fleet.agents()) {
      if (replicaId === this.#replicaId && (status === "online" || this.#lost.has(agentId))) agents += 1;
    }
    this.#held = { agents, countedAtMs: nowMs };
  }
}
