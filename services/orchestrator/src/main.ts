/** The program: reads its settings, runs until told to stop. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { createLogger, createMetrics, loadConfigOrThrow, runUntilSignal, systemPorts } from "@headroom/runtime";
import { orchestratorConfig, orchestratorPaths } from "./config.ts";
import { createOrchestrator, type Orchestrator } from "./context.ts";

export interface RunOrchestratorOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** By name, as a command-line parser gives them. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** Called once calls are answered. */
  onReady?(orchestrator: Orchestrator): void;
  /** Another way to stop it gracefully, beside signals. */
  readonly until?: AbortSignal;
  /** Short lines for people on stderr besides the log file. Default false: JSON from "warn" on. */
  readonly pretty?: boolean;
}

/** Resolves with the exit code. Rejects with ConfigError, PortInUseError, InsecureBindError, TokenFileError: show their message. */
export async function runOrchestrator(options: RunOrchestratorOptions = {}): Promise<number> {
  const env = options.env ?? process.env;
  const { values: config } = loadConfigOrThrow(orchestratorConfig, {
    env,
    ...(options.flags && { flags: options.flags }),
  });
  const { logFile } = orchestratorPaths(config, env);
  mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 });
  const logger = createLogger({
    name: "orchestrator",
    level: config.logLevel,
    file: logFile,
    stderr: options.pretty === true ? "info" : "warn",
    pretty: options.pretty ?? false,
  });
  const metrics = createMetrics();
  const orchestrator = createOrchestrator(config, { logger, metrics });
  try {
    return await runUntilSignal(
      {
        async start() {
          await orchestrator.start();
          options.onReady?.(orchestrator);
        },
        stop: (reason) => orchestrator.stop(reason),
      },
      { logger, ports: systemPorts, metrics, ...(options.until && { until: options.until }) },
    );
  } catch (error) {
    logger.error({ err: error }, "the orchestrator could not start");
    throw error;
  } finally {
    logger.close();
  }
}
