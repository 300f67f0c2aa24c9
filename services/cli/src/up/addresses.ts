import { once } from "node:events";
import { createServer } from "node:net";
import { errorCode, formatHostPort, type HostPort } from "@headroom/runtime";
import { CliError } from "../errors/cli-error.ts";
import { findPortHolder } from "./port-holder.ts";

/** One address that `up` listens on. */
export interface ListenAddress {
  /** "the registry's gRPC" */
  readonly what: string;
  /** The environment variable that changes it. */
  readonly variable: string;
  readonly address: HostPort;
}

/**
 * Looks whether every address is free, before anything starts, and gives a port 0 the number it will have. Throws CliError that
 * names each one taken, by whom, and how to choose another.
 */
export async function probeAddresses<K extends string>(
  wanted: Readonly<Record<K, ListenAddress>>,
): Promise<Readonly<Record<K, HostPort>>> {
  const problems: string[] = [];
  const chosen = new Map<K, HostPort>();
  const seen = new Map<string, ListenAddress>();
  // Keys of a record of K are K.
  for (const key of Object.keys(wanted) as K[]) {
    const { what, variable, address } = wanted[key];
    const text = formatHostPort(address);
    const same = address.port === 0 ? undefined : seen.get(text);
    if (same !== undefined) problems.push(`${text} is meant for ${same.what} and for ${what}; change ${variable}`);
    seen.set(text, wanted[key]);
    const probed = await probe(address);
    if (probed.kind === "free") chosen.set(key, { host: address.host, port: probed.port });
    else
      problems.push(
        `${text} (${what}): ${probed.why}; another one: ${variable}=${formatHostPort({ ...address, port: address.port + 100 })}`,
      );
  }
  if (problems.length === 0) return Object.fromEntries(chosen) as Record<K, HostPort>;
  throw new CliError({
    message: problems.length === 1 ? "an address cannot be used" : "some addresses cannot be used",
    reason: "PORT_IN_USE",
    details: problems,
    wayOut: "stop what listens there (another Headroom, perhaps), or choose other addresses as shown",
  });
}

type Probed = { readonly kind: "free"; readonly port: number } | { readonly kind: "taken"; readonly why: string };

async function probe(address: HostPort): Promise<Probed> {
  const server = createServer();
  try {
    server.listen({ host: address.host, port: address.port, exclusive: true });
    await once(server, "listening");
    const bound = server.address();
    return { kind: "free", port: typeof bound === "object" && bound !== null ? bound.port : address.port };
  } catch (error) {
    return { kind: "taken", why: await whyNot(error, address.port) };
  } finally {
    if (server.listening) await new Promise((resolve) => void server.close(resolve));
  }
}

async function whyNot(error: unknown, port: number): Promise<string> {
  const code = errorCode(error);
  if (code === "EADDRINUSE") {
    const holder = await findPortHolder(port);
    return holder === null
      ? "another program listens there"
      : `process ${holder.pid} listens there (${holder.command})`;
  }
  if (code === "EADDRNOTAVAIL") return "this machine has no such address";
  if (code === "EACCES") return "this user may not listen there (ports below 1024 are for root)";
  return error instanceof Error ? error.message : String(error);
}

/** Where a client on this machine reaches a server that listens on `address`. */
export function reachable(address: HostPort): string {
  const anywhere = address.host === "0.0.0.0" || address.host === "::";
  return formatHostPort(anywhere ? { host: "127.0.0.1", port: address.port } : address);
}
