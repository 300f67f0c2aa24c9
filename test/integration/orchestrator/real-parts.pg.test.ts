import { createAgent, loadAgentConfig } from "@headroom/agent";
import { wire } from "@headroom/contracts";
import { createRegistry, registryConfig } from "@headroom/registry";
import { formatHostPort, loadConfigOrThrow, silentLogger } from "@headroom/runtime";
import { createTestDatabase, makeTempDir } from "@headroom/testing";
import { createOrchestrator, type Orchestrator } from "@headroom/orchestrator";
import { createChannel, createClient, ensureTokenFile } from "@headroom/rpc";
import { systemPorts } from "@headroom/runtime";
import { expect, it } from "vitest";
import { configOf, waitUntil } from "./harness.ts";

it(
  "DESIGN 5: registry, orchestrator and agent as they are: heartbeat, dispatch, run, pause, resume, output",
  { timeout: 60_000 },
  async () => {
    const database = await createTestDatabase({ label: "real_parts" });
    const dir = await makeTempDir("real_parts");
    const base = {
      DATABASE_URL: database.connectionString,
      HEADROOM_DATA_DIR: dir.path,
      HEADROOM_DRAIN_SECONDS: "0.5",
    };
    const token = await ensureTokenFile(`${dir.path}/token`);
    const registry = createRegistry(
      loadConfigOrThrow(registryConfig, {
        env: { ...base, HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0", HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0" },
      }).values,
      { logger: silentLogger },
    );
    await registry.start();
    const registryAddr = formatHostPort(registry.grpcAddress ?? { host: "", port: 0 });
    const orchestrator: Orchestrator = createOrchestrator(
      configOf({ ...base, HEADROOM_REGISTRY_ADDR: registryAddr, PAUSE_POLLING_INTERVAL_SECONDS: "60" }),
    );
    await orchestrator.start();
    const orchestratorAddr = formatHostPort(orchestrator.grpcAddress ?? { host: "", port: 0 });
    const agent = createAgent(
      await loadAgentConfig({
        env: {
          ...base,
          HEADROOM_REGISTRY_ADDR: registryAddr,
          HEADROOM_ORCHESTRATOR_ADDR: orchestratorAddr,
          HEADROOM_AGENT_DECLARE_CPU_CORES: "2",
          HEADROOM_AGENT_DECLARE_MEMORY_GB: "4",
        },
      }),
    );
    await agent.start();
    const channel = createChannel({ address: orchestratorAddr, ports: systemPorts, logger: silentLogger, token });
    const plans = createClient(wire.PlanServiceService, channel);
    const queue = createClient(wire.PauseQueueServiceService, channel);
    try {
      await waitUntil(async () => !(await queue.checkCapacity({ needs: undefined })).shouldPause);
      const argv = [process.execPath, "-e", "console.log('hello ' + process.env.N); setTimeout(() => undefined, 200)"];
      const { planId } = await plans.dispatchPlan(
        wire.DispatchPlanRequest.fromPartial({
          plan: {
            name: "real",
            tasks: Array.from({ length: 5 }, (_, index) => ({
              name: `t${index + 1}`,
              command: { argv, env: { N: String(index + 1) } },
              needs: { cpuCores: 1 },
            })),
          },
        }),
      );
      const plan = await waitUntil(
        async () => {
          const now = (await plans.getPlan({ planId })).plan;
          return now?.finishedAt === undefined ? null : now;
        },
        { timeoutMs: 50_000 },
      );
      expect(plan.status).toBe(wire.PlanStatus.PLAN_STATUS_SUCCEEDED);
      for (const task of plan.tasks) {
        const pieces: string[] = [];
        for await (const piece of plans.streamTaskLogs({ taskId: task.taskId, attemptId: "", follow: true }))
          pieces.push(piece.data.toString());
        expect(pieces.join("")).toBe(`hello ${task.name.slice(1)}\n`);
        expect(task.attempts).toHaveLength(1);
      }
      const paused = await database.sql<{ n: number }>(
        "SELECT count(*)::int AS n FROM orchestrator.pause_queue WHERE status = 'resumed'",
      );
      expect(paused[0]?.n).toBeGreaterThan(0);
    } finally {
      channel.close();
      await agent.stop();
      await orchestrator.stop();
      await registry.stop();
      await database.drop();
      await dir.remove();
    }
  },
);
