import { wire } from "@headroom/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOutcome, type Handlers, listed, runTestCli, startTestServices } from "../cli.test-helper.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function run(handlers: Handlers, args: readonly string[]): Promise<CliOutcome> {
  const services = await startTestServices(handlers);
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, ...args]);
}

const { AGENT_STATUS_ONLINE, AGENT_STATUS_SUSPECT, AGENT_STATUS_OFFLINE } = wire.AgentStatus;
const { AGENT_TYPE_DESKTOP, AGENT_TYPE_INFRA } = wire.AgentType;
const idOf = (index: number): string => `aaaa${String(index).padStart(4, "0")}-1111-4111-8111-111111111111`;

interface Given extends Omit<Partial<wire.Agent>, "capacity"> {
  readonly capacity?: Partial<wire.AgentCapacity>;
}

function agent({ capacity, ...given }: Given): wire.Agent {
  const status = given.status ?? AGENT_STATUS_ONLINE;
  return wire.Agent.create({
    agentId: idOf(0),
    hostname: "desk",
    agentType: AGENT_TYPE_DESKTOP,
    poolName: "default",
    ...given,
    status,
    capacity: wire.AgentCapacity.create({
      status,
      attached: true,
      cpuCoresAvailable: 8,
      cpuCoresPhysical: 8,
      memoryAvailableGb: 64,
      memoryTotalGb: 64,
      gpuVramAvailableGb: 24,
      gpuVramTotalGb: 24,
      gpus: [wire.GpuCapacity.create({ model: "RTX 4090", vramAvailableGb: 24, vramTotalGb: 24 })],
      ...capacity,
    }),
  });
}

function fleetOf(...agents: wire.Agent[]): Handlers {
  return {
    fleet: {
      listAgents: (request) => Promise.resolve(listed(request, agents)),
      getAgent: (request) => Promise.resolve({ agent: agents.find(({ agentId }) => agentId === request.agentId) }),
    },
  };
}

const rowOf = ({ stdout }: CliOutcome, host: string): string =>
  stdout.split("\n").find((line) => line.includes(` ${host} `)) ?? "";

describe("agents list", () => {
  it("shows what is free only of agents that are online", async () => {
    const outcome = await run(
      fleetOf(
        agent({ hostname: "desk-on" }),
        agent({ hostname: "desk-late", status: AGENT_STATUS_SUSPECT }),
        agent({ hostname: "desk-off", status: AGENT_STATUS_OFFLINE }),
      ),
      ["agents", "list"],
    );
    expect(rowOf(outcome, "desk-on")).toMatch(/online .* 8 \/ 8 +64 \/ 64 GiB +24 \/ 24 GiB +0$/);
    expect(rowOf(outcome, "desk-late")).toMatch(/suspect +- +default +- +- +- +0$/);
    expect(rowOf(outcome, "desk-off")).toMatch(/offline +- +default +- +- +- +0$/);
  });

  it.each<[string, Given]>([
    ["infra: is never given work", { agentType: AGENT_TYPE_INFRA }],
    ["cordoned (new disk)", { cordoned: true, cordonReason: "new disk" }],
    ["draining", { draining: true }],
    ["held by its owner", { capacity: { ownerHold: true } }],
    ["not attached", { capacity: { attached: false } }],
    ["declared: cpu, gpu", { capacity: { declared: ["cpu", "gpu"] } }],
  ])("notes %s", async (note, given) => {
    const outcome = await run(fleetOf(agent(given)), ["agents", "list"]);
    expect(rowOf(outcome, "desk").endsWith(`  0     ${note}`)).toBe(true);
  });
});

describe("agents list --status", () => {
  const fleet = fleetOf(
    agent({ hostname: "desk-on" }),
    agent({ hostname: "desk-late", status: AGENT_STATUS_SUSPECT }),
    agent({ hostname: "desk-off", status: AGENT_STATUS_OFFLINE }),
  );
  const hostsOf = ({ stdout }: CliOutcome): string[] | null => stdout.match(/desk-\w+/g);

  it.each([
    [["--status", "suspect", "--status", "offline"]],
    [["--status", "suspect,offline"]],
    [["--status", "OFFLINE, suspect", "--status", "offline"]],
  ])("shows the agents of all that are named: %j", async (args) => {
    expect(hostsOf(await run(fleet, ["agents", "list", ...args]))).toEqual(["desk-late", "desk-off"]);
  });

  it.each(["suspekt", "suspect,gone", "", ","])("refuses %j with the words there are", async (status) => {
    const { code, stdout, stderr } = await run(fleet, ["agents", "list", "--status", status]);
    expect(stderr).toContain("It must be one of online, suspect, offline, unknown.");
    expect([code, stdout]).toEqual([1, ""]);
  });

  it.each([
    [["--status", "suspect,unknown"], "no agent is suspect or unknown; headroom agents list shows all agents\n"],
    [
      ["--status", "offline", "--pool", "gpu"],
      "no agent in pool gpu is offline; headroom agents list shows all agents\n",
    ],
    [["--pool", "gpu"], "no agent is known in pool gpu; headroom agents list shows all agents\n"],
    [[], "no agent is known; start one with: headroom agent (headroom up starts one for this machine)\n"],
  ])("takes no part of the fleet for the whole where nothing is found: %j", async (args, said) => {
    const { code, stdout, stderr } = await run(fleetOf(), ["agents", "list", ...args]);
    expect([code, stdout, stderr]).toEqual([0, "", said]);
  });
});

describe("agents get", () => {
  it("gives the size of an agent that is offline, and nothing as free", async () => {
    const { stdout } = await run(fleetOf(agent({ status: AGENT_STATUS_OFFLINE })), ["agents", "get", idOf(0)]);
    expect(stdout).toMatch(/CPU +8 cores; nothing is free while the agent is not online\n/);
    expect(stdout).toMatch(/memory +64 GiB\n/);
    expect(stdout).toMatch(/GPU 0 +RTX 4090: 24 GiB\n/);
  });

  it("tells figures that were declared once", async () => {
    const { stdout } = await run(fleetOf(agent({ capacity: { declared: ["cpu"] } })), ["agents", "get", idOf(0)]);
    expect(stdout).toMatch(/^notes +-$/m);
    expect(stdout.match(/declared.*/g)).toEqual(["declared   cpu (not measured)"]);
  });

  it("by a host name that several agents share lists their ids", async () => {
    const agents = Array.from({ length: 12 }, (_, index) => agent({ agentId: idOf(index), hostname: "vm" }));
    const { code, stdout, stderr } = await run(fleetOf(...agents), ["agents", "get", "vm"]);
    expect(stderr.split("\n")).toEqual([
      'headroom: "vm" is the host name of 12 agents (AMBIGUOUS_NAME)',
      ...agents.slice(0, 10).map(({ agentId }) => `  - ${agentId}  online`),
      "  - and 2 more: headroom agents list shows all",
      "  write the id of the one that is meant, or the first characters of it, four at least",
      "",
    ]);
    expect([code, stdout]).toEqual([1, ""]);
  });
});
