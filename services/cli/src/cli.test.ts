import { PassThrough } from "node:stream";
import { wire } from "@headroom/contracts";
import { notFound } from "@headroom/rpc";
import { afterEach, describe, expect, it } from "vitest";
import {
  type CliOutcome,
  type Handlers,
  listed,
  runTestCli,
  startTestServices,
  type TestCliOptions,
} from "./cli.test-helper.ts";
import { roomOf } from "./process-io.ts";

const agentId = "aaaa1111-1111-4111-8111-111111111111";
const otherAgentId = "aaaa2222-1111-4111-8111-111111111111";
const planId = "bbbb1111-1111-4111-8111-111111111111";
const taskId = "cccc1111-1111-4111-8111-111111111111";
const { PLAN_STATUS_PAUSED } = wire.PlanStatus;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function run(handlers: Handlers, args: readonly string[], options: TestCliOptions = {}): Promise<CliOutcome> {
  const services = await startTestServices(handlers);
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, ...args], options);
}

describe("output", () => {
  const agents = [
    wire.AgentCapacity.create({
      agentId,
      hostname: "desk-1",
      status: wire.AgentStatus.AGENT_STATUS_ONLINE,
      agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
      poolName: "default",
      cpuCoresAvailable: 1.5,
      cpuCoresPhysical: 8,
      gpuVramAvailableGb: 20.05,
      gpuVramTotalGb: 24,
      gpuType: "RTX 4090",
      gpus: [wire.GpuCapacity.create({ model: "RTX 4090" })],
    }),
  ];
  const capacity: Handlers = {
    capacity: {
      listAvailableCapacity: () => Promise.resolve(wire.ListAvailableCapacityResponse.create({ agents, totalSize: 1 })),
    },
  };

  it("R-CAP-6: JSON is what REST prints: snake_case, zeros, lower-case words", async () => {
    const { code, stdout, stderr } = await run(capacity, ["capacity", "-o", "json"]);
    const [agent] = JSON.parse(stdout).agents;
    expect(agent).toMatchObject({
      agent_id: agentId,
      status: "online",
      agent_type: "desktop",
      cpu_load: 0,
      gpu_vram_total_gb: 24,
    });
    expect([code, stderr]).toEqual([0, ""]);
  });

  it("a table goes to stdout, without colours where no terminal is", async () => {
    const { stdout } = await run(capacity, ["capacity"]);
    expect(stdout).toMatch(/^AGENT +HOST/);
    expect(stdout).toMatch(/aaaa1111 +desk-1 +online +default +1.5 \/ 8 .*20.1 \/ 24 GiB +1 × RTX 4090/);
    expect(stdout).not.toContain("\u001B");
  });

  it("colours in a terminal, and not with NO_COLOR", async () => {
    expect((await run(capacity, ["capacity"], { columns: 120 })).stdout).toContain("\u001B[32monline");
    expect((await run(capacity, ["capacity"], { columns: 120, env: { NO_COLOR: "1" } })).stdout).not.toContain(
      "\u001B",
    );
  });

  it("passes the constraints on, and sorts figures largest first", async () => {
    let asked: wire.ListAvailableCapacityRequest | undefined;
    const handlers: Handlers = {
      capacity: {
        listAvailableCapacity: (request) => {
          asked = request;
          return Promise.resolve(wire.ListAvailableCapacityResponse.create());
        },
      },
    };
    const args = ["capacity", "--min-gpu-vram-gb", "8", "--min-cpu-cores", "2", "--sort", "cpu", "--label", "a=b=c"];
    const { code, stderr } = await run(handlers, args);
    expect(asked).toMatchObject({
      minGpuVramGb: 8,
      minCpuCores: 2,
      orderBy: "cpu_cores_available desc",
      labels: { a: "b=c" },
    });
    expect([code, stderr]).toEqual([
      0,
      "no online desktop has that much free; headroom agents list shows all agents\n",
    ]);
    expect((await run(handlers, ["capacity"])).stderr).toBe(
      "no online desktop has a whole core free; headroom agents list shows what each has\n",
    );
  });
});

describe("ids", () => {
  const fleet: Handlers = {
    fleet: {
      listAgents: (request) =>
        Promise.resolve(
          listed(request, [
            wire.Agent.create({ agentId, hostname: "desk-1" }),
            wire.Agent.create({ agentId: otherAgentId, hostname: "desk-2" }),
          ]),
        ),
      cordonAgent: (request) =>
        Promise.resolve({ agent: wire.Agent.create({ agentId: request.agentId, hostname: request.reason }) }),
    },
  };

  it("may be shortened, or be a host name", async () => {
    const cordon = async (id: string) =>
      JSON.parse((await run(fleet, ["-o", "json", "agents", "cordon", id])).stdout).agent.agent_id as string;
    expect(await cordon("aaaa2")).toBe(otherAgentId);
    expect(await cordon("desk-1")).toBe(agentId);
    expect(await cordon("AAAA1111-1111-4111-8111-111111111111")).toBe(agentId);
  });

  it.each([
    ["aaaa", /2 agents begin with aaaa \(AMBIGUOUS_ID\)\n +- aaaa1111.*desk-1\n +- aaaa2222/],
    ["aaa", /no agent is called "aaa" \(AGENT_NOT_FOUND\)/],
    ["nobody", /no agent is called "nobody"/],
  ])("%s is refused with what would do", async (id, message) => {
    const { code, stderr, stdout } = await run(fleet, ["agents", "cordon", id]);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([1, ""]);
  });
});

describe("task logs", () => {
  it("keeps stdout and stderr apart, byte for byte", async () => {
    let seq = 0;
    const piece = (stream: wire.OutputStream, text: string) =>
      wire.StreamTaskLogsResponse.create({ attemptId: planId, seq: (seq += 1), stream, data: Buffer.from(text) });
    const { OUTPUT_STREAM_STDOUT, OUTPUT_STREAM_STDERR, OUTPUT_STREAM_HEADROOM } = wire.OutputStream;
    const handlers: Handlers = {
      plans: {
        async *streamTaskLogs() {
          yield piece(OUTPUT_STREAM_STDOUT, "out\n");
          yield piece(OUTPUT_STREAM_STDERR, "err\n");
          yield piece(OUTPUT_STREAM_HEADROOM, "12 bytes left out");
          yield piece(OUTPUT_STREAM_HEADROOM, "\n[headroom: 13 bytes left out]\n");
        },
      },
    };
    const { stdout, stderr, code } = await run(handlers, ["task", "logs", taskId]);
    expect([stdout, stderr, code]).toEqual([
      "out\n",
      "err\nheadroom: 12 bytes left out\nheadroom: 13 bytes left out\n",
      0,
    ]);
  });

  it.each([[[]], [["--follow"]]])("ends where nothing answers: %j", async (flags) => {
    const services = await startTestServices({});
    await services.stop();
    const { code, stderr } = await runTestCli([...services.flags, "task", "logs", taskId, ...flags]);
    expect(code).toBe(1);
    expect(stderr).toContain("(SERVER_UNREACHABLE)");
  });
});

describe("what writes without an end", () => {
  const piece = (seq: number) => wire.StreamTaskLogsResponse.create({ attemptId: planId, seq, stream: 1, data: line });
  const line = Buffer.from("line\n");
  const last = wire.Plan.create({ planId, name: "demo", status: wire.PlanStatus.PLAN_STATUS_SUCCEEDED });
  const handlers: Handlers = {
    plans: {
      async *streamTaskLogs() {
        for (const seq of [1, 2, 3]) yield piece(seq);
      },
      async *watchPlan() {
        for (const eventId of [1, 2]) yield { event: wire.PlanEvent.create({ eventId, planId }), plan: undefined };
        yield { event: wire.PlanEvent.create({ eventId: 3, planId }), plan: last };
      },
      getPlan: () => Promise.resolve({ plan: last }),
    },
  };

  it.each([
    ["task", "logs", taskId, "--follow"],
    ["plan", "watch", planId, "-o", "json"],
    ["call", "WatchPlan", `{"plan_id": "${planId}"}`],
  ])("waits after each write until its reader has room: %s %s", async (...args) => {
    const seen: string[] = [];
    const { code } = await run(handlers, args, {
      onStdout: () => void seen.push("write"),
      onRoom: () => new Promise((resolve) => setImmediate(() => resolve(void seen.push("room")))),
    });
    expect([code, seen]).toEqual([0, Array.from({ length: 3 }, () => ["write", "room"]).flat()]);
  });

  it("a reader has room when it has read, has gone, or is waited for no more", async () => {
    const full = (): PassThrough => {
      const stream = new PassThrough({ highWaterMark: 4 });
      stream.on("error", () => undefined);
      stream.write("eight...");
      return stream;
    };
    const isPending = async (room: Promise<void>): Promise<boolean> =>
      Promise.race([room.then(() => false), new Promise<boolean>((resolve) => setImmediate(() => resolve(true)))]);
    const read = full();
    const room = roomOf(read);
    expect(await isPending(room)).toBe(true);
    read.read();
    await room;
    const gone = full();
    const never = roomOf(gone);
    gone.destroy(new Error("EPIPE"));
    await never;
    const stop = new AbortController();
    const waited = roomOf(full(), stop.signal);
    expect(await isPending(waited)).toBe(true);
    stop.abort();
    await waited;
    await roomOf(new PassThrough());
  });
});

describe("call", () => {
  const queue: Handlers = {
    queue: {
      checkCapacity: (request) =>
        Promise.resolve(
          wire.CheckCapacityResponse.create({ shouldPause: true, threshold: request.needs?.cpuCores ?? 0 }),
        ),
    },
    plans: {
      async *watchPlan() {
        yield wire.WatchPlanResponse.create({ plan: wire.Plan.create({ planId, status: PLAN_STATUS_PAUSED }) });
      },
    },
  };

  it("R-SHAPE-5: takes and prints snake_case JSON, zeros included", async () => {
    const { code, stdout } = await run(queue, [
      "call",
      "PauseQueueService/CheckCapacity",
      '{"needs": {"cpu_cores": 3}}',
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ should_pause: true, threshold: 3, agents_online: 0, agents: [] });
    expect(code).toBe(0);
  });

  it("prints one object a line of a stream, and reads stdin", async () => {
    const { stdout } = await run(queue, ["call", "WatchPlan", "-"], { stdin: `{"plan_id": "${planId}"}` });
    expect(JSON.parse(stdout)).toMatchObject({ plan: { status: "paused" } });
  });

  it.each([
    [["call", "PlanService/GetPlam"], /did you mean headroom.orchestrator.v1.PlanService\/GetPlan\?/],
    [["call", "GetPlan", "{"], /the request is not JSON/],
    [["call", "GetPlan", '{"plan": 1}'], /plan: there is no such field; the fields are plan_id/],
    [["call", "GetPlan", '{"plan_id": "x"}'], /plan_id: must be a valid UUID/],
  ])("%j says what is wrong", async (args, message) => {
    const { code, stderr } = await run(queue, args);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });
});

describe("errors", () => {
  it("tell message, reason and code 1", async () => {
    const handlers: Handlers = {
      fleet: { getAgent: () => Promise.reject(notFound("AGENT_NOT_FOUND", "no agent has this id")) },
    };
    const { code, stderr, stdout } = await run(handlers, ["agents", "get", agentId]);
    expect([code, stderr, stdout]).toEqual([1, "headroom: no agent has this id (AGENT_NOT_FOUND)\n", ""]);
  });

  it.each([
    [
      ["queue", "--orchestrator", "127.0.0.1:9"],
      /nothing answers at 127.0.0.1:9.*headroom up.*--orchestrator HOST:PORT/,
    ],
    [["queue", "--orchestrator", "nonsense"], /HEADROOM_ORCHESTRATOR_ADDR.*HOST:PORT/],
    [["quue"], /unknown command 'quue'\n\(Did you mean queue\?\)\n {2}headroom has: up, .*queue, /],
    [["plan", "show", "x"], /unknown command 'show'\n {2}headroom plan has: dispatch, /],
    [["queue", "--reason", "no_agent"], /It must be one of fleet_below_threshold/],
    [["capacity", "--min-cpu-cores", "x"], /It must be a number of cores/],
    [["capacity", "--min-cpu-cores", "0"], /It must be a number of cores, 1 or more/],
    [["capacity", "desk-1", "desk-2"], /too many arguments for 'list'. Expected 1 argument but got 2/],
    [["plan", "list", "--status", "paused,ended"], /It must be one of dispatched, /],
    [["plan", "get"], /missing required argument 'plan'/],
    [["plan", "get", "a", "b"], /too many arguments/],
    [["queue", "lst"], /unknown command 'lst'\n\(Did you mean list\?\)\n {2}headroom queue has: list, /],
    [["queue", "--limit", "5", "lst"], /unknown command 'lst'/],
    [["queue", "list", "lst"], /too many arguments for 'list'/],
    [["plan", "dispatch", "x.yaml", "--timeout", "5m"], /--timeout ends a watch, .*add --watch/],
    [["-o", "yaml", "queue"], /Allowed choices are table, json/],
  ])("%j", async (args, message) => {
    const { code, stderr } = await runTestCli(args);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });

  it("show control characters of a service as what they are", async () => {
    const message = "gone \u001B[2J\u009B1m";
    const handlers: Handlers = {
      fleet: { getAgent: () => Promise.reject(notFound("AGENT_NOT_FOUND", message)) },
    };
    const { stderr } = await run(handlers, ["agents", "get", agentId]);
    expect(stderr).toBe(`headroom: gone \\x1b[2J\\x9b1m (AGENT_NOT_FOUND)\n`);
  });

  it("help goes to stdout, names the exit codes, and is no error", async () => {
    for (const args of [["--help"], ["plan", "help", "dispatch"], ["plan", "dispatch", "--help"]]) {
      const { code, stdout, stderr } = await runTestCli(args);
      expect(stdout).toContain("Exit codes:");
      expect([code, stderr]).toEqual([0, ""]);
    }
    expect((await runTestCli(["orchestrator", "--help"])).stdout).toContain("PAUSE_CAPACITY_THRESHOLD_PERCENT");
  });

  it("R-PAUSE-1: a wrong setting of a part is told before anything starts", async () => {
    const { code, stderr } = await runTestCli(["up"], {
      env: { PAUSE_CAPACITY_THRESHOLD_PERCENT: "20", HEADROOM_AGENT_TYPE: "x" },
    });
    expect(stderr).toMatch(/2 settings are wrong/);
    expect(stderr).toMatch(/PAUSE_CAPACITY_THRESHOLD_PERCENT.*write 0.2 for 20 %/);
    expect(stderr).toMatch(/HEADROOM_AGENT_TYPE/);
    expect(code).toBe(1);
  });

  it.each([
    [{ HEADROOM_TOKEN: "short" }, /^ {2}- HEADROOM_TOKEN has fewer than 16 characters: write/m],
    [{ HEADROOM_TLS_CERT_FILE: "/nope" }, /^ {2}- HEADROOM_TLS_CERT_FILE and HEADROOM_TLS_KEY_FILE belong together/m],
    [
      { HEADROOM_REGISTRY_GRPC_ADDR: "0.0.0.0:7401" },
      /^ {2}- HEADROOM_REGISTRY_GRPC_ADDR=0\.0\.0\.0:7401: will not listen .*HEADROOM_ALLOW_PLAINTEXT/m,
    ],
  ])("%j is told before anything starts", async (env, line) => {
    const { code, stderr } = await runTestCli(["up"], { env });
    expect(stderr).toMatch(/One setting is wrong/);
    expect(stderr).toMatch(line);
    expect(stderr).not.toMatch(/stopping/);
    expect(code).toBe(1);
  });
});
