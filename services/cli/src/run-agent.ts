import { join } from "node:path";
import { type Agent, createAgent, loadAgentConfig } from "@headroom/agent";
import { createLogger, ensureDir, type Ports, runUntilSignal, sleep, systemPorts } from "@headroom/runtime";

export interface RunAgentOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: Readonly<Record<string, unknown>>;
  readonly until?: AbortSignal;
  readonly pretty: boolean;
  /** Called when the registry has welcomed it and its work stream is up, or after a few seconds without. */
  readonly onReady: (agentId: string) => void;
}

/** Room for what follows the last task's end: delivering results, goodbye, closing. */
const afterGraceMs = 15_000;
/** An agent does its work without services, too: it waits for them. */
const waitForServicesMs = 5_000;
const lookEveryMs = 25;

/** Runs this machine's agent until it is told to stop, and answers the exit code. */
export async function runAgentHere(options: RunAgentOptions): Promise<number> {
  const config = await loadAgentConfig({ env: options.env, flags: options.flags });
  await ensureDir(config.logsDir);
  const logger = createLogger({
    name: "agent",
    level: config.logLevel,
    file: join(config.logsDir, "agent.log"),
    stderr: options.pretty ? "info" : "warn",
    pretty: options.pretty,
  });
  const agent = createAgent(config, { logger, env: options.env });
  const ports = systemPorts;
  try {
    return await runUntilSignal(
      {
        async start() {
          await agent.start();
          await waitForServices(agent, ports);
          options.onReady(agent.status()?.agentId ?? "");
        },
        stop: (reason) => agent.stop(reason),
      },
      {
        logger,
        ports,
        stopTimeoutMs: config.stopGraceMs + afterGraceMs,
        ...(options.until && { until: options.until }),
      },
    );
  } catch (error) {
    logger.error({ err: error }, "the agent could not start");
    throw error;
  } finally {
    logger.close();
  }
}

async function waitForServices(agent: Agent, ports: Ports): Promise<void> {
  const endMs = ports.clock.monotonic() + waitForServicesMs;
  for (;;) {
    const status = agent.status();
    if (status === null || (status.isOnline && status.isAttached) || ports.clock.monotonic() >= endMs) return;
    await sleep(ports.timers, lookEveryMs);
  }
}
