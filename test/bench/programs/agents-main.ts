/** Many agents in one process, on real connections. */
import { AgentFleet } from "../support/agent-fleet.ts";
import { serveCommands } from "../support/child-side.ts";

const fleets = new Map<string, AgentFleet>();

function fleetAt(address: string): AgentFleet {
  const fleet = fleets.get(address);
  if (fleet === undefined) throw new Error(`no agents at ${address}`);
  return fleet;
}

serveCommands({
  join: async (plan: ConstructorParameters<typeof AgentFleet>[0]) => {
    const fleet = new AgentFleet(plan);
    fleets.set(plan.address, fleet);
    return fleet.join();
  },
  beatHard: (address: string) => fleetAt(address).beatHard(),
  beatAsTold: (told: { readonly address: string; readonly changedShare: number }) =>
    fleetAt(told.address).beatAsTold(told.changedShare),
  counts: (address: string) => fleetAt(address).counts(),
  pause: (address: string) => fleetAt(address).pause(),
  reconnect: (address: string) => fleetAt(address).reconnect(),
  rejoined: (address: string) => fleetAt(address).whenJoined(),
});
