import type { Server, ServerCredentials } from "@grpc/grpc-js";
import { formatHostPort, type HostPort } from "@headroom/runtime";
import { PortInUseError } from "./port-in-use.ts";

export interface ListenOptions {
  /** Of the server, for errors. */
  readonly name: string;
  readonly address: HostPort;
  /** How to change it, for errors. */
  readonly setting: string | undefined;
}

/** Binds the server and answers where it really listens. Rejects with PortInUseError, or an error that names the address. */
export async function listen(
  server: Server,
  credentials: ServerCredentials,
  options: ListenOptions,
): Promise<HostPort> {
  const text = formatHostPort(options.address);
  try {
    const port = await bind(server, credentials, text);
    return { host: options.address.host, port };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (message.includes("EADDRINUSE")) throw new PortInUseError(options.name, text, options.setting, error);
    const change = options.setting === undefined ? "" : `; choose another address with ${options.setting}`;
    throw new Error(`${options.name} cannot listen on ${text}: ${message}${change}`, { cause: error });
  }
}

function bind(server: Server, credentials: ServerCredentials, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
  });
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
