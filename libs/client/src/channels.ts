import {
  type Channel,
  type ClientTls,
  createChannel,
  createClient,
  HeadroomError,
  readTokenFile,
  type RpcClient,
  type ServiceDefinition,
  TokenFileError,
} from "@headroom/rpc";
import type { Logger, Ports } from "@headroom/runtime";
import { openMethodsOnly } from "./open-methods.ts";
import type { Connection } from "./connection-settings.ts";

export type ServiceName = "registry" | "orchestrator";

/** The connections of one client, opened at the first call. */
export interface Channels {
  /** The typed client of a service. Rejects when the token cannot be read. */
  client<D extends ServiceDefinition>(service: ServiceName, definition: D): Promise<RpcClient<D>>;
  close(): void;
}

export interface ChannelsOptions {
  readonly connection: Connection;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly userAgent: string;
}

const howToStart: Readonly<Record<ServiceName, string>> = {
  registry:
    'start it with "npm start" or "headroom up", or name it with --registry HOST:PORT or HEADROOM_REGISTRY_ADDR',
  orchestrator:
    'start it with "npm start" or "headroom up", or name it with --orchestrator HOST:PORT or HEADROOM_ORCHESTRATOR_ADDR',
};

/** Opens nothing yet. */
export function createChannels(options: ChannelsOptions): Channels {
  // One channel with a token and at most one from before there was one.
  const open = new Map<string, Channel>();
  let closed = false;

  async function channelOf(service: ServiceName): Promise<Channel> {
    const { token, unreadable } = withheld(service, options.connection, await findToken(options.connection));
    if (closed) throw clientClosed();
    const key = token === null ? `${service} without token` : service;
    const existing = open.get(key);
    const usable = (channel: Channel): Channel =>
      unreadable === null ? channel : openMethodsOnly(channel, unreadable);
    if (existing !== undefined) return usable(existing);
    const channel = createChannel({
      address: options.connection[service],
      ports: options.ports,
      logger: options.logger,
      userAgent: options.userAgent,
      howToStart: howToStart[service],
      ...(token !== null && { token }),
      ...(options.connection.tls !== null && { tls: named(options.connection.tls) }),
    });
    open.set(key, channel);
    return usable(channel);
  }

  let tokenFound: Promise<FoundToken> | undefined;
  /** Read once; as long as there is none, looked for again at each call: a planner may start before the services do. */
  async function findToken(connection: Connection): Promise<FoundToken> {
    tokenFound ??= readToken(connection);
    const found = await tokenFound.catch((error: unknown) => {
      tokenFound = undefined;
      throw error;
    });
    if (found.token === null) tokenFound = undefined;
    return found;
  }

  return {
    client: async (service, definition) => createClient(definition, await channelOf(service)),
    close() {
      closed = true;
      for (const channel of open.values()) channel.close();
      open.clear();
    },
  };
}

/** As a program sets them, unless it says how else somebody has. */
function named({ names, ...tls }: ClientTls): ClientTls {
  return {
    ...tls,
    names: { caFile: "HEADROOM_TLS_CA_FILE", certFile: "tls.certFile", keyFile: "tls.keyFile", ...names },
  };
}

interface FoundToken {
  readonly token: string | null;
  /** There is a file that this user may not read: why not. */
  readonly unreadable: TokenFileError | null;
}

async function readToken({ token }: Connection): Promise<FoundToken> {
  if (token.kind === "given") return { token: token.token, unreadable: null };
  try {
    return { token: await readTokenFile(token.path), unreadable: null };
  } catch (error) {
    if (token.required || !(error instanceof TokenFileError)) throw error;
    // Reads of the fleet need no token; what does need one is answered TOKEN_REQUIRED, with the way out.
    if (/does not exist/.test(error.message)) return { token: null, unreadable: null };
    // Nobody has named this file: another user's services run here, whose fleet anybody may look at.
    if (error.cause !== undefined) return { token: null, unreadable: error };
    throw error;
  }
}

/**
 * The token that lies in the data folder is that of this machine's own services: whoever has it may do everything with them. A service of
 * another machine does not get to see it, in clear, unless somebody has named it for that.
 */
function withheld(
  service: ServiceName,
  { token, strangers, ...connection }: Connection,
  found: FoundToken,
): FoundToken {
  if (found.token === null || token.kind === "given" || token.required || !strangers.includes(service)) return found;
  const message = `the token in ${token.path} is that of this machine's own services, and is not shown to the ${service} at ${connection[service]}; if it is meant for that one too, name it with --token-file or HEADROOM_TOKEN_FILE, else give its token with HEADROOM_TOKEN`;
  return { token: null, unreadable: new TokenFileError(message) };
}

function clientClosed(): HeadroomError {
  return new HeadroomError({ code: "CANCELLED", reason: "CLIENT_CLOSED", message: "the client was closed" });
}
