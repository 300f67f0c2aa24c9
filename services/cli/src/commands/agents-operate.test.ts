import { durationFromMs, timestampFromMs, wire } from "@headroom/contracts";
import { HeadroomError, type RpcCode } from "@headroom/rpc";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOutcome, type Handlers, runTestCli, startTestServices } from "../cli.test-helper.ts";

const agentId = "aaaa1111-1111-4111-8111-111111111111";
const deadlineMs = Date.parse("2026-01-02T03:04:05Z");

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function run(fleet: Handlers["fleet"], ...args: readonly string[]): Promise<CliOutcome> {
  const services = await startTestServices({ fleet: fleet ?? {} });
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, "agents", ...args]);
}

describe("headroom agents drain", () => {
  const drained = wire.Agent.create({
    agentId,
    hostname: "desk-1",
    cordoned: true,
    draining: true,
    attemptIds: ["one", "two"],
    capacity: wire.AgentCapacity.create({ draining: true, drainDeadline: timestampFromMs(deadlineMs) }),
  });

  it("passes deadline and reason on, and says what is left and until when", async () => {
    const asked: wire.DrainAgentRequest[] = [];
    const fleet: Handlers["fleet"] = {
      drainAgent: (request) => {
        asked.push(request);
        return Promise.resolve({ agent: drained });
      },
    };
    const { code, stderr } = await run(
      fleet,
      "drain",
      agentId,
      "--deadline",
      "10m",
      "--no-wait",
      "--reason",
      "new disk",
    );
    expect(asked).toEqual([{ agentId, deadline: durationFromMs(600_000), reason: "new disk" }]);
    expect([code, stderr]).toEqual([
      0,
      `desk-1 (${agentId}) is being drained: no new work; 2 tasks there may end, until 2026-01-02T03:04:05.000Z\n`,
    ]);
    await run(fleet, "drain", agentId);
    expect(asked.at(-1)).toMatchObject({ deadline: undefined, reason: "" });
  });

  it("with a deadline, follows the drain: what is left, what is stopped, and the end", async () => {
    const capacity = { ...drained.capacity, evictAttemptIds: ["one"] };
    const agents = [
      drained,
      { ...drained, attemptIds: ["one"], capacity },
      { ...drained, attemptIds: [], draining: false, capacity: {} },
    ].map((each) => wire.Agent.fromPartial(each));
    const [first, ...later] = agents;
    const fleet: Handlers["fleet"] = {
      drainAgent: () => Promise.resolve({ agent: first }),
      getAgent: () => Promise.resolve({ agent: later.shift() }),
    };
    const { code, stderr } = await run(fleet, "drain", agentId, "--deadline", "1s");
    expect([code, stderr.split("\n").slice(1)]).toEqual([
      0,
      [
        "1 task left; the deadline has passed: 1 being stopped, to be tried elsewhere",
        `desk-1 (${agentId}) is drained: nothing runs there; headroom agents uncordon ${agentId} lets it work again`,
        "",
      ],
    ]);
    expect(later).toEqual([]);
  });

  it("goes on looking when the registry is away for a while, and says so once", async () => {
    const done = wire.Agent.fromPartial({ ...drained, attemptIds: [], draining: false, capacity: {} });
    const away = (code: RpcCode) => new HeadroomError({ code, reason: "AWAY", message: "the registry restarts" });
    const answers = [
      () => Promise.reject(away("UNAVAILABLE")),
      () => Promise.reject(away("DEADLINE_EXCEEDED")),
      () => Promise.resolve({ agent: done }),
    ];
    const fleet: Handlers["fleet"] = {
      drainAgent: () => Promise.resolve({ agent: drained }),
      getAgent: () => answers.shift()?.() ?? Promise.reject(away("INTERNAL")),
    };
    const { code, stderr } = await run(fleet, "drain", agentId, "--deadline", "10m");
    expect([code, stderr.match(/the registry restarts/g)]).toEqual([0, ["the registry restarts"]]);
    expect(stderr).toContain(`desk-1 (${agentId}) is drained`);
    answers.length = 0;
    const failed = await run(fleet, "drain", agentId, "--deadline", "10m");
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining("the registry restarts (AWAY)")]);
  });

  it("interrupted, ends with 2 and lets the drain go on", async () => {
    const services = await startTestServices({ fleet: { drainAgent: () => Promise.resolve({ agent: drained }) } });
    cleanups.push(() => services.stop());
    const args = [...services.flags, "agents", "drain", agentId, "--wait"];
    const { code, stderr } = await runTestCli(args, { interrupt: AbortSignal.abort() });
    expect(stderr).toContain("no longer watched; the drain goes on: 2 tasks left");
    expect(code).toBe(2);
    expect((await runTestCli(["--help"])).stdout).toMatch(/2 {2}accepted[^]*of agents drain: interrupted/);
  });

  it("refuses what is no duration, with an example", async () => {
    const { code, stderr } = await run({}, "drain", agentId, "--deadline", "soon");
    expect(code).not.toBe(0);
    expect(stderr).toContain("It must be a duration, such as 90s");
  });

  it("a drain and a probation are shown among the notes", async () => {
    const agent = wire.Agent.create({ ...drained, cordoned: false, probationUntil: timestampFromMs(deadlineMs) });
    const { stdout } = await run({ getAgent: () => Promise.resolve({ agent }) }, "get", agentId);
    expect(stdout).toContain("draining until 2026-01-02T03:04:05.000Z, on probation until 2026-01-02T03:04:05.000Z");
  });
});

describe("headroom agents confirm-losses", () => {
  it.each([
    [0, "this registry process keeps none; any other that does gives them up within a second\n"],
    [
      12,
      "12 agents kept suspect by this registry process: now given up as offline; any other process that keeps some gives them up within a second\n",
    ],
  ])(
    "says how many the answering process held (%i), and that the others give up theirs as well",
    async (agentsHeld, said) => {
      const { code, stderr } = await run({ confirmLosses: () => Promise.resolve({ agentsHeld }) }, "confirm-losses");
      expect([code, stderr]).toEqual([0, said]);
    },
  );
});

describe("headroom agents remove", () => {
  it("forgets an agent", async () => {
    const asked: wire.RemoveAgentRequest[] = [];
    const fleet: Handlers["fleet"] = {
      removeAgent: (request) => {
        asked.push(request);
        return Promise.resolve({});
      },
    };
    const { code, stderr } = await run(fleet, "remove", agentId);
    expect([code, stderr, asked]).toEqual([0, `agent ${agentId} is forgotten\n`, [{ agentId }]]);
  });
});
