/** The agents whose work is expected to end soonest: the first to look at when room is estimated. */
import type { AgentView, Needs } from "@headroom/scheduling";
import { hasBit } from "../fleet/index/bits.ts";
import type { CapacityIndex, OrderFigure } from "../fleet/index/capacity-index.ts";
import { select } from "../fleet/index/select.ts";
import { firstExpectedEndMs } from "./capacity-of.ts";

/** Agents looked at for one estimate; each costs some microseconds for each of its reservations. */
const MAX_LOOKED_AT = 200;
const NEVER = Number.MAX_SAFE_INTEGER;

const SOONEST_END: OrderFigure = {
  name: "soonest expected end",
  valueOf: (agent) => firstExpectedEndMs(agent) ?? NEVER,
};

/** Of those that take work of this kind, whatever is free there at the moment. */
export function viewsBySoonestEnd(index: CapacityIndex, needs: Needs): readonly AgentView[] {
  const found = select(index, {
    poolName: needs.pool,
    labels: needs.labels,
    bounds: {},
    minCards: 0,
    perCardMib: 0,
    models: [],
    requireAttached: true,
    matches: () => true,
  });
  const views: AgentView[] = [];
  index.orderBy(SOONEST_END).walk(null, (slot) => {
    const view = index.viewAt(slot);
    if (SOONEST_END.valueOf(index.agentAt(slot)) === NEVER) return false;
    const isMeant = needs.agentId === null || needs.agentId === view.agentId;
    if (isMeant && hasBit(found, slot) && couldEverFit(view, needs)) views.push(view);
    return views.length < MAX_LOOKED_AT;
  });
  return views;
}

/** Spares the predicate the machines that are plainly too small. */
function couldEverFit({ room }: AgentView, needs: Needs): boolean {
  return (
    room.cpu.ceiling >= needs.cpuMillicores &&
    room.memory.ceiling >= needs.memoryMib &&
    room.cards.length >= needs.gpuCount
  );
}
