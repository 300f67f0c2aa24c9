/** Whether an agent may be used at all: who it is, and how it is at the moment. */
import type { AgentType, AgentView } from "./agent-view.ts";
import type { FitOptions } from "./fit.ts";
import { miss, type Miss } from "./miss.ts";
import type { Needs } from "./needs.ts";

const DEFAULT_AGENT_TYPES: readonly AgentType[] = ["desktop"];

/** Of an agent: who it is. */
export type AgentWho = Pick<AgentView, "agentId" | "agentType" | "poolName" | "labels">;

/** Whether it is of a type that takes the work. */
export function isOfType({ agentType }: Pick<AgentView, "agentType">, options: FitOptions): boolean {
  return typesOf(options)?.includes(agentType) ?? true;
}

/** Null: any. */
function typesOf({ agentTypes }: FitOptions): readonly AgentType[] | null {
  return agentTypes === undefined ? DEFAULT_AGENT_TYPES : agentTypes;
}

/** What no waiting can change: type, name, pool and labels. */
export function fitIdentity(view: AgentWho, needs: Needs, options: FitOptions): readonly Miss[] {
  const misses: Miss[] = [];
  const agentTypes = typesOf(options);
  if (agentTypes !== null && !agentTypes.includes(view.agentType)) {
    misses.push(miss("wrong_type", { detail: `${view.agentType}, not ${agentTypes.join(" or ")}` }));
  }
  if (needs.agentId !== null && needs.agentId !== view.agentId) misses.push(miss("wrong_agent", {}));
  if (needs.pool !== null && needs.pool !== view.poolName) {
    misses.push(miss("wrong_pool", { detail: `${view.poolName}, not ${needs.pool}` }));
  }
  const missing = Object.entries(needs.labels).filter(([key, value]) => view.labels[key] !== value);
  if (missing.length > 0) {
    misses.push(miss("labels_mismatch", { detail: missing.map(([key, value]) => `${key}=${value}`).join(", ") }));
  }
  return misses;
}

/** What may change any moment. */
export function fitState(view: AgentView, options: FitOptions): readonly Miss[] {
  const misses: Miss[] = [];
  if (view.status !== "online") misses.push(miss("not_online", { detail: view.status }));
  if (view.cordoned) misses.push(miss("cordoned", {}));
  if (view.draining) misses.push(miss("draining", {}));
  if (view.ownerHold) misses.push(miss("owner_hold", {}));
  if (view.onProbation === true) misses.push(miss("on_probation", {}));
  if (options.avoidAgentIds?.has(view.agentId) === true) misses.push(miss("avoided", {}));
  // Said only of agents that are online: an offline one is unattached as a matter of course.
  if (view.status === "online" && !view.attached && options.requireAttached !== false) {
    misses.push(miss("not_attached", {}));
  }
  return misses;
}
