/** The program: reads its settings, runs until told to stop. */
import { join } from "node:path";
import { formatHostPort, type Ports, runProgram, sleep, systemPorts } from "@headroom/runtime";
import { type Agent, createAgent } from "./agent.ts";
import { loadAgentConfig, type AgentConfigInput } from "./config/config.ts";
import { tellFirstWelcome } from "./connection/first-welcome.ts";
import { rememberFailures } from "./connection/last-failure.ts";
import { grpcConnections } from "./connection/open-stream.ts";
import { credentialPath } from "./enrolment/credential-file.ts";
import { agentHome } from "./home.ts";

export interface RunAgentOptions extends AgentConfigInput {
  /** Called when the registry has welcomed it and its work stream is up, or after a few seconds without. */
  onReady?(agentId: string): void;
  /** Called after onReady with a line for a person while it is not connected, and one when it is. */
  onConnection?(line: string): void;
  /** Another way to stop it gracefully, beside signals. */
  readonly until?: AbortSignal;
  /** Short lines for people on stderr besides the log file. Default false: JSON from "warn" on. */
  readonly pretty?: boolean;
  /** An agent that has the data folder is ending, and is waited for as long as its stop may take. Default false: it is told of. */
  readonly waitsForPredecessor?: boolean;
}

/** Room for what follows the last task's end: delivering results, goodbye, closing. */
const afterGraceMs = 15_000;
/** For a predecessor to notice that it is to end, and to leave. */
const predecessorLeavesMs = 5_000;
/** An agent does its work without services, too: it waits for them no longer than this. */
const waitForServicesMs = 5_000;
const lookEveryMs = 25;

/**
 * Runs this machine's agent until it is told to stop and answers the exit code. Logs to `logs/agent.log` of the data folder.
 * Rejects with what a person can put right, to be shown without a stack: ConfigError, AgentDirInUseError, IdentityError.
 */
export async function runAgent(options: RunAgentOptions = { env: process.env }): Promise<number> {
  const config = await loadAgentConfig(options);
  const stopTimeoutMs = config.stopGraceMs + afterGraceMs;
  const lost = new AbortController();
  const predecessorWaitMs = options.waitsForPredecessor === true ? stopTimeoutMs + predecessorLeavesMs : 0;
  return runProgram({
    name: "agent",
    logFile: join(config.logsDir, "agent.log"),
    logLevel: config.logLevel,
    pretty: options.pretty,
    until: AbortSignal.any([lost.signal, ...(options.until === undefined ? [] : [options.until])]),
    stopTimeoutMs,
    build(logger) {
      const home = agentHome(config.agentDir, systemPorts, {
        predecessorWaitMs,
        onLost({ pid, elsewhere }) {
          const what =
            "this agent stood still, and another one has taken its data folder: it ends its commands and stops";
          logger.error({ pid, elsewhere, agent_dir: config.agentDir }, what);
          lost.abort(new Error(what));
        },
      });
      const credentialFile = credentialPath(config.agentDir);
      const connections = rememberFailures(grpcConnections({ ...config, credentialFile, ports: systemPorts, logger }));
      const agent = createAgent(config, { logger, home, connections, env: options.env });
      const stopped = new AbortController();
      return {
        async start() {
          await agent.start();
          if (options.onReady === undefined) return;
          await untilConnected(agent, systemPorts);
          options.onReady(agent.status()?.agentId ?? "");
          void tellFirstWelcome({
            ports: systemPorts,
            registry: formatHostPort(config.registryAddr),
            isOnline: () => agent.status()?.isOnline === true,
            lastFailure: () => connections.lastFailure(),
            say: (line) => options.onConnection?.(line),
            signal: stopped.signal,
          });
        },
        stop(reason) {
          stopped.abort();
          return agent.stop(reason);
        },
      };
    },
  });
}

async function untilConnected(agent: Agent, ports: Ports): Promise<void> {
  const endMs = ports.clock.monotonic() + waitForServicesMs;
  for (;;) {
    const status = agent.status();
    if (status === null || (status.isOnline && status.isAttached) || ports.clock.monotonic() >= endMs) return;
    await sleep(ports.timers, lookEveryMs);
  }
}
