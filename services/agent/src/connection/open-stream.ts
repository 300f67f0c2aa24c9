import { readFile } from "node:fs/promises";
import { wire } from "@headroom/contracts";
import {
  createChannel,
  createClient,
  isLoopbackHost,
  LeftAddress,
  type Channel,
  type ClientTls,
  type DuplexStream,
} from "@headroom/rpc";
import { formatHostPort, type HostPort, type Logger, type Ports } from "@headroom/runtime";
import type { AgentTls } from "../config/config.ts";
import { readCredentialFile } from "../enrolment/credential-file.ts";
import { agentVersion } from "../version.ts";

/** Opens streams to the two services, as a port; a simulation gives its own network. */
export interface Connections {
  /** Makes ready for a stream. What it answers opens it; set all handlers in the same turn. */
  openHeartbeat(): Promise<() => DuplexStream<wire.HeartbeatResponse, wire.HeartbeatRequest>>;
  openAttach(): Promise<() => DuplexStream<wire.AttachResponse, wire.AttachRequest>>;
  /** `AgentService.EnrollAgent`, for an agent that has nothing to show yet. */
  enroll(request: wire.EnrollAgentRequest, signal: AbortSignal): Promise<wire.EnrollAgentResponse>;
  /** Idempotent. */
  close(): void;
}

export interface ConnectionsOptions {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly registryAddr: HostPort;
  readonly orchestratorAddr: HostPort;
  /** Shown before any token, if it is there: an agent that has joined speaks for itself. */
  readonly credentialFile: string;
  readonly token: string | null;
  /** Read again for each stream: the service writes it at its first start, which may come after ours. */
  readonly tokenFile: string;
  /** It is that of this machine's own services, and is shown on loopback only: whoever else has it may do everything with them. */
  readonly isOwnTokenFile: boolean;
  readonly tls: AgentTls | null;
}

/** Real gRPC connections. */
export function grpcConnections(options: ConnectionsOptions): Connections {
  const registry = freshChannels(options, options.registryAddr);
  const orchestrator = freshChannels(options, options.orchestratorAddr);
  const enrolments = new LeftAddress();
  return {
    async openHeartbeat() {
      const client = createClient(wire.AgentServiceService, await registry.next());
      return () => client.heartbeat();
    },
    async openAttach() {
      const client = createClient(wire.WorkServiceService, await orchestrator.next());
      return () => client.attach();
    },
    async enroll(request, signal) {
      const channel = openChannel(options, options.registryAddr, null, enrolments);
      try {
        return await createClient(wire.AgentServiceService, channel).enrollAgent(request, { signal });
      } finally {
        channel.close();
      }
    },
    close() {
      registry.close();
      orchestrator.close();
    },
  };
}

interface FreshChannels {
  next(): Promise<Channel>;
  close(): void;
}

/**
 * A new channel for each stream, in place of the one before. A channel that has failed for a while fails new calls at once until its
 * own back-off is over, which may be 30 s: an agent would find a restarted service that much later. Where a name has several addresses, the next one
 * leads to another than the one before: that one failed, or asked to be left.
 */
function freshChannels(options: ConnectionsOptions, address: HostPort): FreshChannels {
  let channel: Channel | undefined;
  const left = new LeftAddress();
  let saidWithheld = false;

  async function tokenOfFile(): Promise<string | null> {
    const token = await readToken(options.tokenFile);
    if (token === null || !options.isOwnTokenFile || isLoopbackHost(address.host)) return token;
    if (!saidWithheld)
      options.logger.warn(
        { address: formatHostPort(address), file: options.tokenFile },
        `the token in the data folder is that of this machine's own services, and is not shown to ${address.host}. Join with --join TOKEN ("headroom agents token create" makes one there)`,
      );
    saidWithheld = true;
    return null;
  }

  return {
    async next() {
      const credential = (await readCredentialFile(options.credentialFile))?.credential ?? null;
      const token = credential ?? options.token ?? (await tokenOfFile());
      channel?.close();
      channel = openChannel(options, address, token, left);
      return channel;
    },
    close() {
      channel?.close();
      channel = undefined;
    },
  };
}

function openChannel(
  { ports, logger, tls }: ConnectionsOptions,
  address: HostPort,
  token: string | null,
  left: LeftAddress,
): Channel {
  return createChannel({
    address,
    ports,
    logger,
    left,
    userAgent: `headroom-agent/${agentVersion}`,
    howToStart: 'start it with "headroom up"; the agent keeps trying',
    ...(token === null ? {} : { token }),
    ...(tls === null ? {} : { tls: clientTls(tls) }),
  });
}

/** As the owner of the machine has set them. */
const names = { certFile: "HEADROOM_AGENT_TLS_CERT_FILE", keyFile: "HEADROOM_AGENT_TLS_KEY_FILE" };

function clientTls({ caFile, certFile, keyFile }: AgentTls): ClientTls {
  return certFile === null || keyFile === null ? { caFile, names } : { caFile, certFile, keyFile, names };
}

/** null: there is none (yet), or it is not ours to read; the service then says what is missing. */
async function readToken(path: string): Promise<string | null> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.trim() === "" ? null : text.trim();
}
