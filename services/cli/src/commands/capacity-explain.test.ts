import { durationFromMs, timestampFromMs, wire } from "@headroom/contracts";
import { invalidArgument } from "@headroom/rpc";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOutcome, type Handlers, listed, runTestCli, startTestServices } from "../cli.test-helper.ts";

const agentId = "aaaa1111-1111-4111-8111-111111111111";
const taskId = "cccc1111-1111-4111-8111-111111111111";
const { FLEET_VERDICT_FITS, FLEET_VERDICT_NOT_NOW, FLEET_VERDICT_NEVER, FLEET_VERDICT_NO_AGENT_ONLINE } =
  wire.FleetVerdict;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function run(handlers: Handlers, ...args: readonly string[]): Promise<CliOutcome> {
  const fleet: Handlers["fleet"] = {
    listAgents: (request) => Promise.resolve(listed(request, [wire.Agent.create({ agentId, hostname: "desk-1" })])),
  };
  const services = await startTestServices({ fleet, ...handlers });
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, ...args]);
}

const verdict = wire.AgentVerdict.fromPartial({
  agentId,
  hostname: "desk-1",
  misses: [{ sentence: "3.2 GiB VRAM short on GPU 1" }, { sentence: "0.5 cores short" }],
  unblock: "wait for 2 running tasks to end",
});
const notNow = wire.CapacityExplanation.fromPartial({
  verdict: FLEET_VERDICT_NOT_NOW,
  sentence: "No room now on the only agent; the nearest: 3.2 GiB VRAM short on GPU 1.",
  agents: [verdict],
  agentsJudged: 1,
});

function explaining(
  explanation: wire.CapacityExplanation,
  expected: Partial<wire.ExplainCapacityResponse> = {},
): { readonly handlers: Handlers; readonly asked: wire.ExplainCapacityRequest[] } {
  const asked: wire.ExplainCapacityRequest[] = [];
  const explainCapacity = (request: wire.ExplainCapacityRequest): Promise<wire.ExplainCapacityResponse> => {
    asked.push(request);
    return Promise.resolve(wire.ExplainCapacityResponse.create({ explanation, ...expected }));
  };
  return { handlers: { capacity: { explainCapacity } }, asked };
}

const inThreeMinutes: Partial<wire.ExplainCapacityResponse> = {
  expectedAvailableAt: timestampFromMs(Date.parse("2026-01-31T12:00:00Z")),
  expectedAvailableIn: durationFromMs(185_000),
  expectedAgentId: agentId,
};

/** The table of agents, which stands last behind an empty line. */
const tableOf = ({ stdout }: CliOutcome): string | undefined => stdout.split("\n\n").at(-1);

describe("capacity explain", () => {
  it("says why there is no room now, when it is expected, and what would help, agent by agent; ends with 2", async () => {
    const { code, stdout, stderr } = await run(
      explaining(notNow, inThreeMinutes).handlers,
      ...["capacity", "explain", "--gpu-vram-gb", "8"],
    );
    expect(stdout.split("\n")).toEqual([
      "No room now on the only agent; the nearest: 3.2 GiB VRAM short on GPU 1.",
      "needs     1 core, 8 GiB VRAM on 1 GPU",
      "verdict   not now",
      "expected  room in 3 m 05 s, at 2026-01-31 12:00:00Z, on desk-1 (aaaa1111)",
      "",
      "AGENT     HOST    VERDICT  WHAT IS MISSING                               WHAT WOULD HELP",
      "aaaa1111  desk-1  not now  3.2 GiB VRAM short on GPU 1; 0.5 cores short  wait for 2 running tasks to end",
      "",
    ]);
    expect([code, stderr]).toEqual([2, ""]);
  });

  it("shows agents as task explain does", async () => {
    const explainTask = () => Promise.resolve(wire.ExplainTaskResponse.create({ capacity: notNow }));
    const ofTask = await run({ plans: { explainTask } }, "task", "explain", taskId);
    expect(tableOf(await run(explaining(notNow).handlers, "capacity", "explain"))).toBe(tableOf(ofTask));
  });

  it("says of an unknown end that it is not known, and of one that is overdue that it may come at any moment", async () => {
    const shown = async (expected: Partial<wire.ExplainCapacityResponse>) =>
      (await run(explaining(notNow, expected).handlers, "capacity", "explain")).stdout;
    expect(await shown({})).toMatch(/^expected +not known$/m);
    const overdue = { ...inThreeMinutes, expectedAvailableIn: durationFromMs(0), expectedAgentId: taskId };
    expect(await shown(overdue)).toMatch(/^expected +room at any moment, on cccc1111$/m);
  });

  it.each([
    [FLEET_VERDICT_FITS, "fits", 0],
    [FLEET_VERDICT_NOT_NOW, "not now", 2],
    [FLEET_VERDICT_NEVER, "never", 2],
    [FLEET_VERDICT_NO_AGENT_ONLINE, "no agent online", 2],
  ])("of verdict %i says %s and ends with %i, as JSON too", async (given, words, expectedCode) => {
    const { handlers } = explaining(wire.CapacityExplanation.create({ verdict: given, sentence: "So it is." }));
    const { code, stdout } = await run(handlers, "capacity", "explain");
    expect(stdout).toMatch(new RegExp(`^So it is\\.\\nneeds +1 core\\nverdict +${words}\\n`));
    expect(stdout.includes("expected")).toBe(given === FLEET_VERDICT_NOT_NOW);
    expect([code, (await run(handlers, "capacity", "explain", "-o", "json")).code]).toEqual([
      expectedCode,
      expectedCode,
    ]);
  });

  it("as JSON is what REST prints", async () => {
    const { stdout } = await run(explaining(notNow, inThreeMinutes).handlers, "capacity", "explain", "-o", "json");
    expect(JSON.parse(stdout)).toMatchObject({
      explanation: { verdict: "not_now", agents: [{ agent_id: agentId, fits: false }], agents_judged: 1 },
      expected_available_at: "2026-01-31T12:00:00Z",
      expected_available_in: "185s",
    });
  });

  it("passes all needs on, an agent by its host name, and leaves out what was not said", async () => {
    const { handlers, asked } = explaining(notNow);
    await run(
      handlers,
      ...["capacity", "explain", "--cpu-cores", "0.5", "--memory-gb", "4", "--gpu-count", "2", "--gpu-vram-gb", "8"],
      ...["--no-gpu-exclusive", "--gpu-model", "4090,A6000", "--label", "room=a=b", "--pool", "gpu"],
      ...["--agent", "desk-1", "--limit", "7"],
    );
    const needs = { cpuCores: 0.5, memoryGb: 4, gpuCount: 2, gpuVramGb: 8, gpuExclusive: false, pool: "gpu", agentId };
    const rest = { gpuModels: ["4090", "A6000"], labels: { room: "a=b" } };
    expect(asked).toEqual([{ needs: { ...needs, ...rest }, maxAgents: 7 }]);
    await run(handlers, "capacity", "explain", "--gpu-exclusive");
    expect(asked[1]).toEqual({
      needs: wire.ResourceNeeds.create({ gpuExclusive: true }),
      maxAgents: 20,
    });
  });

  it.each([
    [[], "1 core"],
    [["--gpu-exclusive"], "1 core, 1 whole GPU"],
    [["--gpu-count", "2"], "1 core, 2 whole GPUs"],
    [["--gpu-count", "2", "--no-gpu-exclusive"], "1 core, 2 GPUs"],
    [["--gpu-model", "4090"], "1 core, 1 whole GPU, model 4090"],
    [["--gpu-vram-gb", "8", "--cpu-cores", "2"], "2 cores, 8 GiB VRAM on 1 GPU"],
  ])("says what is needed as the contract understands it: %j", async (options, words) => {
    const { stdout } = await run(explaining(notNow).handlers, "capacity", "explain", ...options);
    expect(stdout).toMatch(new RegExp(`^needs +${words}$`, "m"));
  });

  it("tells a wrong need by its option", async () => {
    const violations = [
      { field: "needs.cpu_cores", description: "must be at most 4096" },
      { field: "needs.gpu_models[0]", description: "is too long" },
      { field: "needs", description: "gpu_count is 0" },
    ];
    const explainCapacity = () => Promise.reject(invalidArgument(violations));
    const { code, stderr } = await run({ capacity: { explainCapacity } }, "capacity", "explain");
    expect(stderr).toContain(
      "\n  - --cpu-cores: must be at most 4096\n  - --gpu-model: is too long\n  - needs: gpu_count is 0\n",
    );
    expect(code).toBe(1);
  });

  it("says how many agents it judged and did not list, beside JSON too", async () => {
    const { handlers } = explaining({ ...notNow, agentsJudged: 3 });
    for (const output of ["table", "json"]) {
      const { stderr } = await run(handlers, "capacity", "explain", "-o", output);
      expect(stderr).toBe("2 more agents judged; --limit lists up to 1000\n");
    }
  });

  it("takes no agent's place: one is still shown by its id, its first characters or its host name", async () => {
    const getAgentCapacity = (request: wire.GetAgentCapacityRequest) =>
      Promise.resolve(wire.GetAgentCapacityResponse.create(request));
    for (const given of [agentId, "aaaa11", "desk-1"]) {
      for (const command of [["capacity"], ["capacity", "list"]]) {
        const { code, stdout } = await run({ capacity: { getAgentCapacity } }, ...command, given, "-o", "json");
        expect([code, JSON.parse(stdout).agent_id]).toEqual([0, agentId]);
      }
    }
  });
});
