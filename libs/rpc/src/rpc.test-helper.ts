import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { createLogger, silentLogger, systemPorts, type Logger } from "@headroom/runtime";
import { type CertificateOptions, writeCertificates } from "@headroom/testing";
import { afterEach } from "vitest";
import {
  bindService,
  createChannel,
  createClient,
  createRpcServer,
  createTokenAuth,
  unimplemented,
  type Channel,
  type ChannelOptions,
  type Implementation,
  type RpcServer,
  type RpcServerOptions,
} from "./index.ts";

export const token = "test-token-0123456789abcdef";
export const agentId = "0b5c9c9e-6a3b-4b47-8d5f-2d5a2c9d1f00";

type Capacity = Implementation<typeof wire.CapacityServiceService>;
type Agent = Implementation<typeof wire.AgentServiceService>;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Runs after the test, last registered first. */
export function onTestEnd(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

/** A CA, and certificates of it for a server on loopback and a client, in a folder of the test. */
export function certificates(options: CertificateOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), "headroom-tls-"));
  onTestEnd(() => rmSync(folder, { recursive: true }));
  return { folder, ...writeCertificates(folder, options) };
}

/** Collects what is logged. */
export function recordingLogger(): { logger: Logger; records: () => Record<string, unknown>[] } {
  const lines: string[] = [];
  const logger = createLogger({
    name: "test",
    level: "debug",
    stderrSink: { write: (line: string) => void lines.push(line) },
  });
  return { logger, records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

export interface TestHandlers {
  readonly capacity?: Partial<Capacity>;
  readonly agent?: Partial<Agent>;
}

const answersNothing = (name: string) => () => Promise.reject(unimplemented(name));

function capacityService(handlers: Partial<Capacity>): Capacity {
  return {
    getAgentCapacity: (request) =>
      Promise.resolve(wire.GetAgentCapacityResponse.fromPartial({ agentId: request.agentId, cpuCoresAvailable: 3 })),
    listAvailableCapacity: answersNothing("ListAvailableCapacity"),
    listPoolCapacity: answersNothing("ListPoolCapacity"),
    watchCapacity: async function* () {
      yield await Promise.reject(unimplemented("WatchCapacity"));
    },
    reserveCapacity: answersNothing("ReserveCapacity"),
    renewReservations: answersNothing("RenewReservations"),
    releaseCapacity: answersNothing("ReleaseCapacity"),
    explainCapacity: answersNothing("ExplainCapacity"),
    ...handlers,
  };
}

function agentService(handlers: Partial<Agent>): Agent {
  return { enrollAgent: answersNothing("EnrollAgent"), heartbeat: (stream) => stream.end(), ...handlers };
}

/** A server on a free port of loopback, not started. */
export function makeServer(handlers: TestHandlers = {}, options: Partial<RpcServerOptions> = {}): RpcServer {
  const server = createRpcServer({
    name: "registry",
    ports: systemPorts,
    logger: silentLogger,
    listen: { grpc: "127.0.0.1:0" },
    services: [
      bindService(wire.CapacityServiceService, capacityService(handlers.capacity ?? {})),
      bindService(wire.AgentServiceService, agentService(handlers.agent ?? {})),
    ],
    auth: createTokenAuth({ token, tokenFile: "/data/token" }),
    drainMs: 2_000,
    ...options,
  });
  onTestEnd(() => server.stop("end of the test"));
  return server;
}

export async function startServer(
  handlers: TestHandlers = {},
  options: Partial<RpcServerOptions> = {},
): Promise<RpcServer> {
  const server = makeServer(handlers, options);
  await server.start();
  return server;
}

export function addressOf(server: RpcServer): { host: string; port: number } {
  if (server.address === null) throw new Error("the server is not up");
  return { ...server.address };
}

export type TestChannelOptions = Partial<Omit<ChannelOptions, "token">> & { readonly token?: string | null };

/** With the right token, unless another or none (null) is given. */
export function openChannel(address: ChannelOptions["address"], options: TestChannelOptions = {}): Channel {
  const { token: shown = token, ...others } = options;
  const channel = createChannel({
    address,
    ports: systemPorts,
    logger: silentLogger,
    ...(shown === null ? {} : { token: shown }),
    ...others,
  });
  onTestEnd(() => channel.close());
  return channel;
}

/** A server and clients of it. */
export async function startPair(
  handlers: TestHandlers = {},
  options: Partial<RpcServerOptions> = {},
  channelOptions: TestChannelOptions = {},
) {
  const server = await startServer(handlers, options);
  const channel = openChannel(addressOf(server), channelOptions);
  return {
    server,
    channel,
    capacity: createClient(wire.CapacityServiceService, channel),
    agent: createClient(wire.AgentServiceService, channel),
  };
}
