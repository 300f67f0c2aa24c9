import { type Needs, OpenRoom } from "@headroom/scheduling";
import type { FleetView } from "../fleet-view/fleet-view.ts";

/** What a watch tells of one agent with so many free cores. */
export function roomOf(freeCores: () => number): Pick<FleetView, "roomFor" | "draft"> {
  const open = (): OpenRoom =>
    new OpenRoom([
      {
        agentId: "agent",
        poolName: "default",
        labels: {},
        takesWork: true,
        cpuFreeMillicores: 1_000 * freeCores(),
        memoryFreeMib: 0,
        cards: [],
      },
    ]);
  return {
    roomFor: (needs: Needs, limit: number) => open().roomFor(needs, limit, () => true),
    draft: () => open().draft(),
  };
}
