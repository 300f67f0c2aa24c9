/** The room of pools: sums over their online desktops that take work (R-CAP-9). */
import { coresFromMillicores, gbFromMib, type wire } from "@headroom/contracts";
import { isOpenForWork } from "@headroom/scheduling";
import { viewOf } from "../fleet/agent-views.ts";
import type { StoredAgent } from "../store/stored-agent.ts";

export function poolCapacities(agents: Iterable<StoredAgent>): readonly wire.PoolCapacity[] {
  const pools = new Map<string, StoredAgent[]>();
  for (const agent of agents) {
    if (agent.agentType !== "desktop") continue;
    const members = pools.get(agent.poolName);
    if (members === undefined) pools.set(agent.poolName, [agent]);
    else members.push(agent);
  }
  return [...pools].map(([poolName, members]) => poolCapacity(poolName, members));
}

function poolCapacity(poolName: string, members: readonly StoredAgent[]): wire.PoolCapacity {
  const online = members.filter((agent) => agent.status === "online");
  const rooms = online.map((agent) => viewOf(agent).room);
  // Nothing can be placed on an agent that is set aside, so what it has free is not available.
  const open = online.filter((agent) => isOpenForWork(viewOf(agent))).map((agent) => viewOf(agent).room);
  const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0);
  return {
    poolName,
    agentsOnline: online.length,
    agentsTotal: members.length,
    cpuCoresAvailable: coresFromMillicores(sum(open.map((room) => room.cpu.free))),
    cpuCoresPhysical: coresFromMillicores(sum(rooms.map((room) => room.cpu.total))),
    memoryAvailableGb: gbFromMib(sum(open.map((room) => room.memory.free))),
    memoryTotalGb: gbFromMib(sum(rooms.map((room) => room.memory.total))),
    gpuVramAvailableGb: gbFromMib(sum(open.map((room) => room.vram.free))),
    gpuVramTotalGb: gbFromMib(sum(rooms.map((room) => room.vram.total))),
    gpuVramAvailableLargestCardGb: gbFromMib(
      open.flatMap((room) => room.cards).reduce((largest, card) => Math.max(largest, card.free), 0),
    ),
  };
}
