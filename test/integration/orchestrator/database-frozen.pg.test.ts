/** A PostgreSQL that stands still: its connections stay, new ones are taken by the kernel, and nothing answers. */
import { execFileSync } from "node:child_process";
import { wire } from "@headroom/contracts";
import { type PrivatePostgres, startPrivatePostgres } from "@headroom/testing";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, type Running, waitUntil, type World } from "./harness.ts";

let postgres: PrivatePostgres;
let world: World;
let frozen: readonly number[] = [];

beforeAll(async () => {
  postgres = await startPrivatePostgres();
  world = await createWorld("orch_db_frozen", postgres.connectionString);
});
afterEach(async () => {
  thaw();
  await world.reset();
});
afterAll(async () => {
  await world.close();
  await postgres.remove();
});

/** The server first: it makes no more children then. */
function freeze(): void {
  const server = postgres.pid();
  if (server === null) throw new Error("PostgreSQL does not run");
  process.kill(server, "SIGSTOP");
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  const children = lines.map((line) => line.trim().split(/\s+/).map(Number)).filter(([, parent]) => parent === server);
  frozen = [server, ...children.flatMap(([pid]) => pid ?? [])];
  for (const pid of frozen.slice(1)) signal(pid, "SIGSTOP");
}

function thaw(): void {
  for (const pid of frozen) signal(pid, "SIGCONT");
  frozen = [];
}

function signal(pid: number, name: "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, name);
  } catch {
    // A child that has ended meanwhile.
  }
}

/** How a call ended, and after how long. */
async function timed(call: Promise<unknown>): Promise<{ readonly said: string; readonly tookMs: number }> {
  const startedMs = performance.now();
  const said = await call.then(
    () => "answered",
    (error: unknown) =>
      error instanceof Error ? `${String(Reflect.get(error, "code"))} ${error.message}` : "no error",
  );
  return { said, tookMs: performance.now() - startedMs };
}

const reads = (running: Running, planId: string, taskId: string): readonly Promise<unknown>[] => [
  running.queue.getQueueStatus({}),
  running.queue.listPausedTasks({ planId: "", reason: 0, pageSize: 0, pageToken: "" }),
  running.plans.explainTask({ taskId, maxAgents: 0 }),
  running.plans.getPlan({ planId }),
  running.plans.dispatchPlan(planOf(1)),
];

describe("database frozen", () => {
  it(
    "callers learn within their deadline that it does not answer, again and again; afterwards all goes on",
    { timeout: 120_000 },
    async () => {
      const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "0.5", PAUSE_ERROR_DELAY_SECONDS: "0.5" });
      const agent = await world.agent(running, { cores: 10, freeCores: 1 }, { instant: true });
      await fleetSeen(running, 1);
      const { planId, tasks } = await running.plans.dispatchPlan(planOf(1));
      freeze();
      for (let round = 0; round < 2; round += 1) {
        const ended = await Promise.all(reads(running, planId, tasks[0]?.taskId ?? "").map(timed));
        for (const { said, tookMs } of ended) {
          expect(said).toMatch(/^UNAVAILABLE .*database does not answer now/);
          expect(tookMs).toBeLessThan(8_000);
        }
      }
      await waitUntil(() =>
        running.logger.has(/a pass over the queue failed \(the database does not answer now\)/, "error"),
      );
      const isReady = async (): Promise<boolean> => (await fetch(`${running.httpAddress}/readyz`)).ok;
      await waitUntil(async () => !(await isReady()));
      thaw();
      await waitUntil(isReady);
      world.registry.set(agent.agentId, { cores: 10 });
      await waitUntil(
        async () => (await running.plans.getPlan({ planId })).plan?.status === wire.PlanStatus.PLAN_STATUS_SUCCEEDED,
      );
    },
  );
});
