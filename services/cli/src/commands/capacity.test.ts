import { wire } from "@headroom/contracts";
import { invalidArgument } from "@headroom/rpc";
import { afterEach, describe, expect, it } from "vitest";
import { type Handlers, listed, runTestCli, startTestServices } from "../cli.test-helper.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const { AGENT_STATUS_ONLINE, AGENT_STATUS_OFFLINE } = wire.AgentStatus;
const { AGENT_TYPE_DESKTOP, AGENT_TYPE_INFRA } = wire.AgentType;

async function said(handlers: Handlers, args: readonly string[] = []): Promise<string> {
  const services = await startTestServices(handlers);
  cleanups.push(() => services.stop());
  return (await runTestCli([...services.flags, "capacity", ...args])).stderr;
}

/** What is said of a fleet of which no desktop is available. */
function saidOf(agents: readonly Partial<wire.Agent>[], args?: readonly string[]): Promise<string> {
  const fleet = agents.map((agent) =>
    wire.Agent.create({ status: AGENT_STATUS_ONLINE, agentType: AGENT_TYPE_DESKTOP, ...agent }),
  );
  return said(
    {
      capacity: { listAvailableCapacity: () => Promise.resolve(wire.ListAvailableCapacityResponse.create()) },
      fleet: { listAgents: (request) => Promise.resolve(listed(request, fleet)) },
    },
    args,
  );
}

const held: Partial<wire.Agent> = { capacity: wire.AgentCapacity.create({ ownerHold: true }) };

describe("capacity without an agent", () => {
  it.each<[string, Partial<wire.Agent>[]]>([
    ["no desktop takes work: 1 is held by the owner;", [held]],
    ["no desktop takes work: 1 is cordoned;", [{ cordoned: true }]],
    ["no desktop takes work: 1 is offline;", [{ status: AGENT_STATUS_OFFLINE, cordoned: true }]],
    [
      "no desktop takes work: 2 are being drained, 1 is cordoned;",
      [{ draining: true, cordoned: true }, { draining: true }, { cordoned: true }],
    ],
    ["no desktop is known;", [{ agentType: AGENT_TYPE_INFRA }]],
    // One takes work: then it is its figures.
    ["no online desktop has a whole core free;", [held, {}]],
  ])("says %s", async (text, agents) => {
    expect(await saidOf(agents)).toContain(text);
  });

  it("says so of the pool that was asked for, whatever the constraints", async () => {
    const stderr = await saidOf([held], ["--pool", "render", "--min-cpu-cores", "2"]);
    expect(stderr).toContain("no desktop in pool render takes work: 1 is held by the owner; headroom agents list");
  });
});

describe("--sort with a field that is none", () => {
  it("is refused with all that can be written", async () => {
    const refused = (): Promise<never> =>
      Promise.reject(
        invalidArgument([{ field: "order_by", description: '"foo desc" is no order; write one of cpu_co…' }]),
      );
    const stderr = await said({ capacity: { listAvailableCapacity: refused } }, ["--sort", "foo"]);
    expect(stderr).toMatch(/--sort foo: there is no such field; write one of cpu, load, .*timestamp, pool_name\n/);
  });
});
