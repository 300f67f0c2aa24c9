import { join } from "node:path";
import { createLogger, ensureDir, runUntilSignal, systemPorts } from "@headroom/runtime";
import { createAgent } from "./agent.ts";
import { loadAgentConfig, type AgentConfigInput } from "./config/config.ts";

/** Room for what follows the last task's end: delivering results, goodbye, closing. */
const afterGraceMs = 15_000;

/**
 * Runs an agent until SIGTERM or SIGINT and answers the exit code. Logs to `logs/agent.log` of the data folder and to stderr.
 * Throws what a person can put right, to be shown without a stack: ConfigError, AgentDirInUseError, IdentityError.
 */
export async function runAgent(input: AgentConfigInput = { env: process.env }): Promise<number> {
  const config = await loadAgentConfig(input);
  await ensureDir(config.logsDir);
  const logger = createLogger({
    name: "agent",
    level: config.logLevel,
    file: join(config.logsDir, "agent.log"),
    stderr: true,
  });
  try {
    return await runUntilSignal(createAgent(config, { logger, env: input.env }), {
      logger,
      ports: systemPorts,
      stopTimeoutMs: config.stopGraceMs + afterGraceMs,
    });
  } finally {
    logger.close();
  }
}
