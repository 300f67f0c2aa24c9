/** An orchestrator on a machine whose clock is hours off, with a real registry: spans of time are what they would be with a right one. */
import { wire } from "@headroom/contracts";
import { createRegistry, type Registry, registryConfig } from "@headroom/registry";
import { type Channel, createChannel } from "@headroom/rpc";
import { formatHostPort, loadConfigOrThrow, type Ports, silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, makeTempDir, type TempDir, type TestDatabase, waitFor } from "@headroom/testing";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { FakeAgent, machineOf } from "../registry/support/fake-agent.ts";
import { createWorld, fleetSeen, planOf, type World } from "./harness.ts";

const hourMs = 3_600_000;
const portsAhead = (aheadMs: number): Ports => ({
  ...systemPorts,
  clock: { ...systemPorts.clock, now: () => systemPorts.clock.now() + aheadMs },
});

let database: TestDatabase;
let world: World;
let dir: TempDir;
let registry: Registry;
let channel: Channel;
let machine: FakeAgent | null = null;

beforeAll(async () => {
  database = await createTestDatabase({ label: "wrong_clock" });
  world = await createWorld("wrong_clock", database.connectionString);
  dir = await makeTempDir("wrong_clock");
  await writeFile(join(dir.path, "token"), world.token, { mode: 0o600 });
  const env = {
    DATABASE_URL: database.connectionString,
    HEADROOM_DATA_DIR: dir.path,
    HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0",
    HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0",
    HEADROOM_DRAIN_SECONDS: "0.5",
  };
  registry = createRegistry(loadConfigOrThrow(registryConfig, { env }).values, { logger: silentLogger });
  await registry.start();
  const address = registry.grpcAddress ?? { host: "", port: 0 };
  channel = createChannel({ address, token: world.token, ports: systemPorts, logger: silentLogger });
});
afterEach(async () => {
  machine?.goodbye();
  await machine?.whenClosed();
  machine = null;
  await world.reset();
});
afterAll(async () => {
  channel.close();
  await world.close();
  await registry.stop();
  await database.drop();
  await dir.remove();
});

type Timestamp = wire.ExplainTaskResponse["expectedStartEarliest"];
/** By the database's clock. */
async function secondsUntil(moment: Timestamp): Promise<number> {
  const [now] = await database.sql<{ s: number }>(`SELECT extract(epoch FROM now())::float8 AS s`);
  return moment === undefined ? Number.NaN : moment.seconds + moment.nanos / 1e9 - (now?.s ?? 0);
}

describe.each([
  ["5 hours fast", 5 * hourMs],
  ["5 hours slow", -5 * hourMs],
])("an orchestrator whose clock is %s", (_, aheadMs) => {
  it("DESIGN 5: expects the start of what waits, and keeps room for it, by how long runs take and since when they do", async () => {
    const running = await world.start(
      {
        HEADROOM_REGISTRY_ADDR: formatHostPort(registry.grpcAddress ?? { host: "", port: 0 }),
        PAUSE_POLLING_INTERVAL_SECONDS: "0.2",
        PAUSE_CAPACITY_THRESHOLD_PERCENT: "0",
        HEADROOM_KEEP_ROOM_AFTER_SECONDS: "0",
      },
      portsAhead(aheadMs),
    );
    // It says nothing of what it is given: since when that runs is the database's word alone.
    const { agentId } = await world.agent(running, { cores: 2 }, { answer: () => null });
    machine = new FakeAgent(channel, { agentId, sample: machineOf({ cores: 2, totalCores: 2 }) });
    await machine.join();
    await fleetSeen(running, 1);
    const expectedDuration = { seconds: 100, nanos: 0 };
    const dispatch = async (cpuCores: number) =>
      (await running.plans.dispatchPlan(planOf(1, { cpuCores }, { expectedDuration }))).tasks[0];
    expect(await dispatch(1)).toMatchObject({ agentId });
    const large = await dispatch(2);
    // It overtakes the large one, for which room is kept then.
    expect(await dispatch(1)).toMatchObject({ agentId });

    const taskId = large?.taskId ?? "";
    const kept = await waitFor(async () => {
      const rows = await database.sql<{ ready_s: number; lasts_s: number }>(
        `SELECT extract(epoch FROM ready_at - granted_at)::float8 AS ready_s, extract(epoch FROM expires_at - granted_at)::float8 AS lasts_s
           FROM orchestrator.room_holds WHERE task_id = $1`,
        [taskId],
      );
      return rows[0];
    });
    expect(kept.lasts_s).toBeCloseTo(300, 3);
    expect(kept.ready_s).toBeGreaterThan(70);
    expect(kept.ready_s).toBeLessThan(110);
    // The clock of an agent may be as wrong: when something started is told by that.
    await database.sql(`UPDATE orchestrator.attempts SET started_at = now() - $1 * interval '1 millisecond'`, [
      aheadMs,
    ]);
    // There is room in 100 s, when both small ones are over; the first of them takes half as long again at most: 50 s between the two.
    const { expectedStartEarliest, expectedStartLatest } = await running.plans.explainTask({ taskId, maxAgents: 0 });
    const earliestS = await secondsUntil(expectedStartEarliest);
    const latestS = await secondsUntil(expectedStartLatest);
    expect(earliestS).toBeGreaterThan(70);
    expect(earliestS).toBeLessThan(110);
    expect(latestS - earliestS).toBeGreaterThan(20);
    expect(latestS - earliestS).toBeLessThan(60);
  });

  it("DESIGN 5: says that a task waits for its resume_after, and expects its start no earlier", async () => {
    const running = await world.start({ PAUSE_CAPACITY_THRESHOLD_PERCENT: "0" }, portsAhead(aheadMs));
    const [now] = await database.sql<{ s: number }>(`SELECT extract(epoch FROM now())::float8 AS s`);
    const resumeAfter = { seconds: Math.floor(now?.s ?? 0) + 3_600, nanos: 0 };
    const { tasks } = await running.plans.dispatchPlan(planOf(1, { cpuCores: 1 }, { resumeAfter }));
    const { sentence } = await running.plans.explainTask({ taskId: tasks[0]?.taskId ?? "", maxAgents: 0 });
    expect(sentence).toContain(`does not start before ${new Date(resumeAfter.seconds * 1_000).toISOString()}`);
  });
});
