import { timestampFromMs, wire } from "@headroom/contracts";
import { invalidArgument } from "@headroom/rpc";
import { systemPorts } from "@headroom/runtime";
import { afterEach, describe, expect, it } from "vitest";
import {
  type CliOutcome,
  type Handlers,
  listed,
  runTestCli,
  startTestServices,
  type TestCliOptions,
} from "../cli.test-helper.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const { AGENT_STATUS_ONLINE, AGENT_STATUS_OFFLINE } = wire.AgentStatus;
const { AGENT_TYPE_DESKTOP, AGENT_TYPE_INFRA } = wire.AgentType;

async function run(
  handlers: Handlers,
  args: readonly string[] = [],
  options: TestCliOptions = {},
): Promise<CliOutcome> {
  const services = await startTestServices(handlers);
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, "capacity", ...args], options);
}

async function said(handlers: Handlers, args: readonly string[] = []): Promise<string> {
  return (await run(handlers, args)).stderr;
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

const agentId = "aaaa1111-1111-4111-8111-111111111111";

interface Given extends Partial<wire.AgentCapacity> {
  /** For the title of a test. */
  readonly note: string;
}

const drainDeadline = timestampFromMs(Date.parse("2026-01-02T03:04:05Z"));
const notes: Given[] = [
  { note: "infra: is never given work", agentType: AGENT_TYPE_INFRA },
  { note: "cordoned", cordoned: true },
  { note: "draining", draining: true },
  { note: "draining until 2026-01-02T03:04:05.000Z", draining: true, drainDeadline },
  { note: "on probation", onProbation: true },
  { note: "held by its owner", ownerHold: true },
  { note: "not attached", attached: false },
  { note: "cordoned, held by its owner, not attached", cordoned: true, ownerHold: true, attached: false },
];

function desktop(given: Partial<wire.AgentCapacity> = {}): wire.AgentCapacity {
  return wire.AgentCapacity.create({
    agentId,
    hostname: "desk",
    status: AGENT_STATUS_ONLINE,
    agentType: AGENT_TYPE_DESKTOP,
    attached: true,
    cpuCoresAvailable: 8,
    cpuCoresPhysical: 8,
    ...given,
  });
}

describe("capacity with room that nobody can get", () => {
  const listedAs = async (agent: wire.AgentCapacity): Promise<string> => {
    const answer = wire.ListAvailableCapacityResponse.create({ agents: [agent], totalSize: 1 });
    const { stdout } = await run({ capacity: { listAvailableCapacity: () => Promise.resolve(answer) } });
    return stdout.split("\n")[1] ?? "";
  };

  it.each(notes)("notes in the list: $note", async ({ note, ...given }) => {
    expect(await listedAs(desktop(given))).toMatch(new RegExp(` -  +${note}$`));
  });

  it("notes in the list which figures were declared, and of an agent as usual nothing", async () => {
    expect(await listedAs(desktop({ declared: ["cpu", "gpu"] }))).toMatch(/ {2}declared: cpu, gpu$/);
    expect(await listedAs(desktop())).toMatch(/ -$/);
  });
});

describe("capacity of one agent", () => {
  async function shown(given: Partial<wire.AgentCapacity>, nowMs = 0): Promise<string> {
    const ports = { ...systemPorts, clock: { ...systemPorts.clock, now: () => nowMs } };
    const getAgentCapacity = () => Promise.resolve(wire.GetAgentCapacityResponse.create(desktop(given)));
    return (await run({ capacity: { getAgentCapacity } }, [agentId], { ports })).stdout;
  }

  it.each(notes)("notes beside what is free: $note", async ({ note, ...given }) => {
    expect(await shown(given)).toMatch(new RegExp(`^notes +${note}$`, "m"));
  });

  it("that is as usual has no notes, and of one that is not online nothing is free", async () => {
    expect(await shown({})).toMatch(/^notes +-$/m);
    const away = await shown({ status: AGENT_STATUS_OFFLINE, attached: false });
    expect(away).toMatch(/^status +offline$/m);
    expect(away).toMatch(/^notes +-\nCPU +8 cores; nothing is free while the agent is not online$/m);
  });

  it("tells figures that were declared once", async () => {
    expect((await shown({ declared: ["cpu"] })).match(/declared.*/g)).toEqual(["declared  cpu (not measured)"]);
  });

  it("says when more room is expected, and nothing where that is unknown", async () => {
    const expectedAvailableAt = timestampFromMs(Date.parse("2026-01-31T12:00:00Z"));
    const atMs = Date.parse("2026-01-31T11:56:55Z");
    expect(await shown({ expectedAvailableAt }, atMs)).toMatch(
      /^expected +more room in 3 m 05 s, at 2026-01-31 12:00:00Z$/m,
    );
    expect(await shown({ expectedAvailableAt }, atMs + 3_600_000)).toMatch(/^expected +more room at any moment$/m);
    expect(await shown({}, atMs)).not.toContain("expected");
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
