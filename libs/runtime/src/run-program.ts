import { dirname } from "node:path";
import { ensureDir } from "./atomic-file.ts";
import type { Service } from "./lifecycle.ts";
import { createLogger } from "./logger.ts";
import type { Logger, LogLevel } from "./logger-types.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { systemPorts } from "./ports.ts";
import { runUntilSignal } from "./signals.ts";

/** What one program of ours needs around its service. */
export interface ProgramOptions {
  /** In every log line, as `service`. */
  readonly name: string;
  readonly logFile: string;
  readonly logLevel: LogLevel;
  /** Short lines for people on stderr besides the log file. Default false: JSON from "warn" on. */
  readonly pretty?: boolean | undefined;
  /** Another way to stop it gracefully, beside signals. */
  readonly until?: AbortSignal | undefined;
  /** How long a graceful stop may take, in ms. Default: that of `runUntilSignal`. */
  readonly stopTimeoutMs?: number;
  build(logger: Logger, metrics: Metrics): Service;
}

/** Logs to a bounded set of files, runs the service until it is told to stop, and resolves with the exit code. Rejects when it cannot start. */
export async function runProgram(options: ProgramOptions): Promise<number> {
  const { name, logFile, logLevel, pretty = false, until, stopTimeoutMs } = options;
  await ensureDir(dirname(logFile));
  const logger = createLogger({ name, level: logLevel, file: logFile, stderr: pretty ? "info" : "warn", pretty });
  const metrics = createMetrics();
  try {
    return await runUntilSignal(options.build(logger, metrics), {
      logger,
      ports: systemPorts,
      metrics,
      ...(until !== undefined && { until }),
      ...(stopTimeoutMs !== undefined && { stopTimeoutMs }),
    });
  } catch (error) {
    // A person at a terminal hears it from the caller, in words of its own; with the stack it is for the file.
    const teller = pretty ? createLogger({ name, level: logLevel, file: logFile, stderr: false }) : logger;
    teller.error({ err: error }, `the ${name} could not start`);
    if (teller !== logger) teller.close();
    throw error;
  } finally {
    logger.close();
  }
}
