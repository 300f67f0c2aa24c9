/** The program: reads its settings, runs until told to stop. */
import { serverPaths, withTokenOfFlag } from "@headroom/rpc";
import { loadConfigOrThrow, runProgram } from "@headroom/runtime";
import { orchestratorConfig } from "./config.ts";
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
  const input = { env, ...(options.flags && { flags: options.flags }) };
  const config = withTokenOfFlag(loadConfigOrThrow(orchestratorConfig, input));
  return runProgram({
    name: "orchestrator",
    logFile: serverPaths(config, "orchestrator", env).logFile,
    logLevel: config.logLevel,
    pretty: options.pretty,
    until: options.until,
    build(logger, metrics) {
      const orchestrator = createOrchestrator(config, { logger, metrics });
      return {
        async start() {
          await orchestrator.start();
          options.onReady?.(orchestrator);
        },
        stop: (reason) => orchestrator.stop(reason),
      };
    },
  });
}
