/** Real agents in one process: their journals, streams and heartbeats are those of production, their tasks are no-ops. */
import { createAgent, grpcConnections, loadAgentConfig, type Agent } from "@headroom/agent";
import { createLogger, systemPorts } from "@headroom/runtime";
import { join } from "node:path";
import { serveCommands } from "../support/child-side.ts";
import { statsCommands } from "../support/server-stats.ts";
import { emptyMachine, noopRunner, observedConnections } from "../support/worker-parts.ts";

export interface WorkersPlan {
  readonly dir: string;
  readonly token: string;
  readonly registry: string;
  readonly orchestrators: readonly string[];
  readonly agents: number;
  /** Of each agent; a task of the benches needs one. */
  readonly cores: number;
  /** How long each task runs. */
  readonly holdMs: number;
}

const agents: Agent[] = [];
/** Time from a result on its way to the next assignment, ms. */
const latenciesMs: number[] = [];
let assignments = 0;
let resultSentAt: number | null = null;

const seen = {
  resultSent: () => {
    resultSentAt = performance.now();
  },
  assignmentCame: () => {
    assignments += 1;
    if (resultSentAt === null) return;
    latenciesMs.push(performance.now() - resultSentAt);
    resultSentAt = null;
  },
};

async function startAgent(plan: WorkersPlan, index: number): Promise<void> {
  const dir = join(plan.dir, `agent-${index}`);
  const config = await loadAgentConfig({
    env: {
      HEADROOM_DATA_DIR: dir,
      HEADROOM_TOKEN: plan.token,
      HEADROOM_REGISTRY_ADDR: plan.registry,
      HEADROOM_ORCHESTRATOR_ADDR: plan.orchestrators[index % plan.orchestrators.length],
    },
  });
  const logger = createLogger({ name: "agent", file: join(dir, "agent.log") });
  const agent = createAgent(config, {
    logger,
    runner: noopRunner(() => plan.holdMs),
    sampler: emptyMachine(plan.cores),
    connections: observedConnections(
      grpcConnections({ ...config, credentialFile: join(dir, "credential"), ports: systemPorts, logger }),
      seen,
    ),
  });
  await agent.start();
  agents.push(agent);
}

serveCommands({
  ...statsCommands,
  start: async (plan: WorkersPlan) => {
    await Promise.all(Array.from({ length: plan.agents }, (_, index) => startAgent(plan, index)));
  },
  /** Latencies since the last call. */
  takeLatencies: () => latenciesMs.splice(0),
  assignments: () => assignments,
  async exit() {
    await Promise.all(agents.map((agent) => agent.stop("the bench is over")));
    setTimeout(() => process.exit(0), 100);
  },
});
