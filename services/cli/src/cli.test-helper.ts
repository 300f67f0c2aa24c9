import { Readable } from "node:stream";
import { wire } from "@headroom/contracts";
import {
  bindService,
  createRpcServer,
  createTokenAuth,
  type Implementation,
  type ServerTls,
  type ServiceDefinition,
  unimplemented,
} from "@headroom/rpc";
import { formatHostPort, type Ports, silentLogger, systemPorts } from "@headroom/runtime";
import type { CliIo, Output } from "./io.ts";
import { runCli } from "./run-cli.ts";

export interface CliOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestCliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** As if stdout were a terminal of that width. */
  readonly columns?: number;
  readonly interrupt?: AbortSignal;
  readonly cwd?: string;
  readonly ports?: Ports;
  /** Told of all that is written to stdout, as it is written. */
  readonly onStdout?: (text: string) => void;
  /** What a command that writes to stdout without an end waits for. */
  readonly onRoom?: () => Promise<void>;
}

/** Runs a command line in this process, with outputs that are kept. */
export async function runTestCli(args: readonly string[], options: TestCliOptions = {}): Promise<CliOutcome> {
  const chunks = { stdout: "", stderr: "" };
  const output = (name: "stdout" | "stderr", columns: number | null): Output => ({
    write: (data) => {
      const text = typeof data === "string" ? data : Buffer.from(data).toString("utf8");
      chunks[name] += text;
      if (name === "stdout") options.onStdout?.(text);
    },
    room: () => (name === "stdout" ? options.onRoom?.() : undefined) ?? Promise.resolve(),
    isTTY: columns !== null,
    columns: () => columns,
    rows: () => (columns === null ? null : 24),
  });
  const io: CliIo = {
    stdout: output("stdout", options.columns ?? null),
    stderr: output("stderr", null),
    stdin: Readable.from(options.stdin === undefined ? [] : [options.stdin]),
    env: { HEADROOM_DATA_DIR: "/nowhere/at/all", HEADROOM_TOKEN: testToken, ...options.env },
    cwd: options.cwd ?? process.cwd(),
    ports: options.ports ?? systemPorts,
    interrupted: () => options.interrupt ?? new AbortController().signal,
    outliveReaders: () => undefined,
  };
  const code = await runCli(args, io);
  return { code, ...chunks };
}

export const testToken = "token-of-the-cli-tests";

export interface TestServices {
  /** Options that point a command at them. */
  readonly flags: readonly string[];
  stop(): Promise<void>;
}

export interface Handlers {
  readonly capacity?: Partial<Implementation<typeof wire.CapacityServiceService>>;
  readonly fleet?: Partial<Implementation<typeof wire.FleetServiceService>>;
  readonly plans?: Partial<Implementation<typeof wire.PlanServiceService>>;
  readonly queue?: Partial<Implementation<typeof wire.PauseQueueServiceService>>;
}

/** A server on a real socket that plays both services with scripted answers. */
export async function startTestServices(handlers: Handlers, tls?: ServerTls): Promise<TestServices> {
  const server = createRpcServer({
    name: "scripted",
    ports: systemPorts,
    logger: silentLogger,
    listen: { grpc: "127.0.0.1:0" },
    auth: createTokenAuth({ token: testToken }),
    ...(tls !== undefined && { tls }),
    drainMs: 100,
    services: [
      bindService(wire.CapacityServiceService, complete(wire.CapacityServiceService, handlers.capacity)),
      bindService(wire.FleetServiceService, complete(wire.FleetServiceService, handlers.fleet)),
      bindService(wire.PlanServiceService, complete(wire.PlanServiceService, handlers.plans)),
      bindService(wire.PauseQueueServiceService, complete(wire.PauseQueueServiceService, handlers.queue)),
    ],
  });
  await server.start();
  if (server.address === null) throw new Error("the scripted services do not listen");
  const address = formatHostPort(server.address);
  return { flags: ["--registry", address, "--orchestrator", address], stop: () => server.stop() };
}

function complete<D extends ServiceDefinition>(
  definition: D,
  given: Partial<Implementation<D>> = {},
): Implementation<D> {
  const missing = Object.keys(definition).map((name) => [name, () => Promise.reject(unimplemented(name))]);
  // Every method of the definition is there: the test's own, else one that answers UNIMPLEMENTED.
  return { ...Object.fromEntries(missing), ...given } as Implementation<D>;
}

/** ListAgents as the registry answers it: filtered, one page. */
export function listed(
  { hostname, agentIdPrefix, statuses, pageSize }: wire.ListAgentsRequest,
  agents: readonly wire.Agent[],
): wire.ListAgentsResponse {
  const prefix = agentIdPrefix.toLowerCase();
  const found = agents.filter(
    (agent) =>
      (hostname === "" || agent.hostname === hostname) &&
      (statuses.length === 0 || statuses.includes(agent.status)) &&
      agent.agentId.startsWith(prefix),
  );
  const page = found.slice(0, pageSize === 0 ? 100 : pageSize);
  return wire.ListAgentsResponse.create({ agents: page, totalSize: found.length });
}
