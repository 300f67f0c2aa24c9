/** The program: reads its settings, runs until told to stop. */
import { serverPaths } from "@headroom/rpc";
import { createLogger, createMetrics, loadConfigOrThrow, runUntilSignal, systemPorts } from "@headroom/runtime";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { registryConfig } from "./config.ts";
import { createRegistry, type Registry } from "./context.ts";

export interface RunRegistryOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** By name, as a command-line parser gives them. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** Called once calls are answered. */
  onReady?(registry: Registry): void;
  /** Another way to stop it gracefully, beside signals. */
  readonly until?: AbortSignal;
  /** Short lines for people on stderr besides the log file. Default false: JSON from "warn" on. */
  readonly pretty?: boolean;
}

/** Resolves with the exit code. Rejects with ConfigError, PortInUseError, InsecureBindError, TokenFileError: show their message. */
export async function runRegistry(options: RunRegistryOptions = {}): Promise<number> {
  const env = options.env ?? process.env;
  const { values: config } = loadConfigOrThrow(registryConfig, { env, ...(options.flags && { flags: options.flags }) });
  const { logFile } = serverPaths(config, "registry", env);
  mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 });
  const logger = createLogger({
    name: "registry",
    level: config.logLevel,
    file: logFile,
    stderr: options.pretty === true ? "info" : "warn",
    pretty: options.pretty ?? false,
  });
  const metrics = createMetrics();
  const registry = createRegistry(config, { logger, metrics });
  try {
    return await runUntilSignal(
      {
        async start() {
          await registry.start();
          options.onReady?.(registry);
        },
        stop: (reason) => registry.stop(reason),
      },
      { logger, ports: systemPorts, metrics, ...(options.until && { until: options.until }) },
    );
  } catch (error) {
    logger.error({ err: error }, "the registry could not start");
    throw error;
  } finally {
    logger.close();
  }
}
