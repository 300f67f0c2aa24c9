import { wire } from "@headroom/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOutcome, type Handlers, runTestCli, startTestServices } from "./cli.test-helper.ts";

const totalSize = 2_300;
const idOf = (index: number): string => `aaaa1111-1111-4111-8111-${String(index).padStart(12, "0")}`;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Page<Row> {
  readonly rows: Row[];
  readonly nextPageToken: string;
}

/** One page as the services cut it: 1,000 rows at most. */
function page<Row>(request: { pageSize: number; pageToken: string }, make: (id: string) => Row): Promise<Page<Row>> {
  if (request.pageSize > 1_000) throw new Error(`page_size is ${request.pageSize}`);
  const from = Number(request.pageToken);
  const to = Math.min(totalSize, from + request.pageSize);
  const rows = Array.from({ length: to - from }, (_, index) => make(idOf(from + index)));
  return Promise.resolve({ rows, nextPageToken: to < totalSize ? String(to) : "" });
}

const handlers: Handlers = {
  fleet: {
    async listAgents(request) {
      const { rows: agents, ...rest } = await page(request, (agentId) => wire.Agent.create({ agentId }));
      return { agents, ...rest, totalSize };
    },
    async listJoinTokens(request) {
      const { rows: tokens, ...rest } = await page(request, (tokenId) => wire.JoinToken.create({ tokenId }));
      return { tokens, ...rest, totalSize };
    },
  },
  capacity: {
    async listAvailableCapacity(request) {
      const { rows: agents, ...rest } = await page(request, (agentId) => wire.AgentCapacity.create({ agentId }));
      return { agents, ...rest, totalSize };
    },
  },
  queue: {
    async listPausedTasks(request) {
      const { rows: tasks, ...rest } = await page(request, (taskId) => wire.PausedTask.create({ taskId }));
      return { tasks, ...rest, totalSize };
    },
    getQueueStatus: () => Promise.resolve(wire.GetQueueStatusResponse.create()),
  },
  plans: {
    async listPlans(request) {
      const { rows: plans, ...rest } = await page(request, (planId) => wire.Plan.create({ planId }));
      return { plans, ...rest };
    },
  },
};

async function run(...args: readonly string[]): Promise<CliOutcome> {
  const services = await startTestServices(handlers);
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, ...args]);
}

function idsOf({ stdout }: CliOutcome, rows: string, id: string): unknown[] {
  return (JSON.parse(stdout)[rows] as Record<string, unknown>[]).map((row) => row[id]);
}

describe.each([
  [["agents", "list"], "agents", "agent_id", 100],
  [["agents", "token", "list"], "tokens", "token_id", 100],
  [["capacity"], "agents", "agent_id", 100],
  [["queue", "list"], "tasks", "task_id", 100],
  [["plan", "list"], "plans", "plan_id", 50],
])("%j", (command, rows, id, standard) => {
  const hint = rows === "plans" ? "there are older ones; --limit shows" : "more; --limit 2300 shows them\n";

  it("says what is left out, beside a table and beside JSON, and with the limit that it names shows all", async () => {
    const short = await run(...command, "-o", "json");
    expect(idsOf(short, rows, id)).toHaveLength(standard);
    for (const { stderr } of [short, await run(...command)]) expect(stderr).toContain(hint);
    const all = await run(...command, "--limit", String(totalSize), "-o", "json");
    expect(idsOf(all, rows, id)).toEqual(Array.from({ length: totalSize }, (_, index) => idOf(index)));
    expect([all.code, all.stderr]).toEqual([0, ""]);
  });

  it("cuts at a limit behind the first page, and says so", async () => {
    const { stdout, stderr } = await run(...command, "--limit", "1001");
    expect(stdout.trimEnd().split("\n")).toHaveLength(1_002);
    expect(stderr).toContain(hint);
  });

  it("has a bound that it tells", async () => {
    const { code, stderr } = await run(...command, "--limit", "100001");
    expect([code, stderr]).toEqual([1, expect.stringContaining("whole number from 1 to 100000")]);
  });
});
