/** The program: reads its settings, runs until told to stop. */
import { serverPaths, withTokenOfFlag } from "@headroom/rpc";
import { loadConfigOrThrow, runProgram } from "@headroom/runtime";
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
  const input = { env, ...(options.flags && { flags: options.flags }) };
  const config = withTokenOfFlag(loadConfigOrThrow(registryConfig, input));
  return runProgram({
    name: "registry",
    logFile: serverPaths(config, "registry", env).logFile,
    logLevel: config.logLevel,
    pretty: options.pretty,
    until: options.until,
    build(logger, metrics) {
      const registry = createRegistry(config, { logger, metrics });
      return {
        async start() {
          await registry.start();
          options.onReady?.(registry);
        },
        stop: (reason) => registry.stop(reason),
      };
    },
  });
}
