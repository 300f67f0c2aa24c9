import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { createServer, isIP, type Server as NetServer, type Socket } from "node:net";
import { errorCode, formatHostPort, type HostPort } from "@headroom/runtime";
import { PortInUseError } from "./port-in-use.ts";

export interface ListenOptions {
  /** Of the server, for errors. */
  readonly name: string;
  readonly address: HostPort;
  /** How to change it, for errors. */
  readonly setting: string | undefined;
}

export interface Listening {
  /** Where it really listens. */
  readonly address: HostPort;
  /** Accepts no more. Connections that were accepted stay. */
  close(): void;
}

/** Accepts connections on every address of the host. Rejects with PortInUseError, or an error that names the address. */
export async function listen(accept: (socket: Socket) => void, options: ListenOptions): Promise<Listening> {
  const { host, port } = options.address;
  const servers: NetServer[] = [];
  const close = (): void => {
    for (const server of servers) server.close();
  };
  try {
    let bound = port;
    let missing: unknown;
    for (const address of await addressesOf(host)) {
      const server = createServer(accept);
      try {
        bound = await bind(server, address, bound);
        servers.push(server);
      } catch (error) {
        if (!isNotHere(error)) throw error;
        missing = error;
      }
    }
    if (servers.length === 0) throw missing;
    return { address: { host, port: bound }, close };
  } catch (error) {
    close();
    throw cannotListen(error, options);
  }
}

/** The machine has no such address: "localhost" is ::1 too, on machines without IPv6 as well. */
function isNotHere(error: unknown): boolean {
  const code = errorCode(error);
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
}

/** A name may mean several addresses: "localhost" is 127.0.0.1 and ::1. */
async function addressesOf(host: string): Promise<readonly string[]> {
  if (isIP(host) > 0) return [host];
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

/**
 * Connections that wait to be accepted; the system may allow fewer (`net.core.somaxconn`). Node's own 511 is soon full when a whole fleet comes back at
 * once: what finds no place there is dropped without a word, and tries again after 1, 2, 4, ... up to 64 s.
 */
const backlog = 16_384;

/** Answers the port. */
async function bind(server: NetServer, host: string, port: number): Promise<number> {
  const listening = once(server, "listening");
  server.listen({ host, port, backlog });
  await listening;
  // An accept that fails (no descriptor left) ends nothing.
  server.on("error", () => undefined);
  const address = server.address();
  // A string is the path of a Unix socket, on which nothing here listens.
  return typeof address === "object" && address !== null ? address.port : port;
}

function cannotListen(error: unknown, { name, address, setting }: ListenOptions): Error {
  const text = formatHostPort(address);
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes("EADDRINUSE")) return new PortInUseError(name, text, setting, error);
  const change = setting === undefined ? "" : `; choose another address with ${setting}`;
  return new Error(`${name} cannot listen on ${text}: ${message}${change}`, { cause: error });
}

/** "127.0.0.1:7401" as its parts. Throws TypeError for a text that is none. */
export function parseAddress(address: string | HostPort): HostPort {
  if (typeof address !== "string") return address;
  const match = /^(?:\[([0-9a-f:.%]+)\]|([^\s:[\]]+)):(\d{1,5})$/i.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new TypeError(`"${address}" is not HOST:PORT; write 127.0.0.1:7401, or [::1]:7401 for IPv6`);
  return { host: match[1] ?? match[2] ?? "", port };
}
