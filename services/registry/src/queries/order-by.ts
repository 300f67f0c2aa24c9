/** Orders agents by any figure of AgentCapacity. */
import { invalidArgument } from "@headroom/rpc";
import { viewOf } from "../fleet/agent-views.ts";
import type { OrderFigure } from "../fleet/index/capacity-index.ts";
import type { SortKey, SortValue } from "../fleet/index/sorted-slots.ts";
import type { StoredAgent } from "../store/stored-agent.ts";

export interface Order {
  readonly figure: OrderFigure;
  readonly descending: boolean;
}

const FIELDS: Readonly<Record<string, (agent: StoredAgent) => SortValue>> = {
  cpu_cores_available: (agent) => viewOf(agent).room.cpu.free,
  cpu_cores_physical: (agent) => viewOf(agent).room.cpu.total,
  cpu_load: (agent) => agent.sample?.cpuLoadPercent ?? 0,
  memory_available_gb: (agent) => viewOf(agent).room.memory.free,
  memory_total_gb: (agent) => viewOf(agent).room.memory.total,
  gpu_vram_available_gb: (agent) => viewOf(agent).room.vram.free,
  gpu_vram_total_gb: (agent) => viewOf(agent).room.vram.total,
  timestamp: (agent) => agent.sample?.sampledAtMs ?? 0,
  hostname: (agent) => agent.hostname,
  pool_name: (agent) => agent.poolName,
  agent_id: (agent) => agent.agentId,
};

export const DEFAULT_ORDER_BY = "gpu_vram_available_gb desc";

/** Reads "FIELD", "FIELD asc" or "FIELD desc"; empty: the default. Throws INVALID_ARGUMENT that lists the fields. */
export function readOrder(orderBy: string): Order {
  const [field = "", direction = "asc", ...rest] = (orderBy.trim() || DEFAULT_ORDER_BY).split(/\s+/);
  const valueOf = Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined;
  const isDirection = direction === "asc" || direction === "desc";
  if (valueOf === undefined || !isDirection || rest.length > 0) {
    const fields = Object.keys(FIELDS).join(", ");
    const description = `${JSON.stringify(orderBy)} is no order; write one of ${fields}, with " desc" behind it for largest first`;
    throw invalidArgument([{ field: "order_by", description }]);
  }
  return { figure: { name: field, valueOf }, descending: direction === "desc" };
}

/** Ties are broken by agent id, ascending, so that pages never overlap. */
export function compareRows(order: Pick<Order, "descending">, a: SortKey, b: SortKey): number {
  const byValue = a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
  if (byValue !== 0) return order.descending ? -byValue : byValue;
  return a.agentId < b.agentId ? -1 : a.agentId > b.agentId ? 1 : 0;
}
