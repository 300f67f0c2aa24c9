/**
 * A web page that its owner's browser shows must never reach this server: neither by a form or script (its `Origin` is foreign),
 * nor by a name of its own that it lets point here (its `Host` is foreign). There are no CORS headers and no cookies.
 */
import { formatHostPort, type HostPort, type ListItem } from "@headroom/runtime";
import { isLoopbackHost } from "../auth/bind-address.ts";
import { httpProblem } from "./http-problem.ts";

export interface GuardOptions {
  readonly scheme: "http" | "https";
  /** Where the server listens: the host as configured, the real port. */
  readonly address: HostPort;
  readonly extraHosts: readonly string[];
  /** How its other names are told to the server, for errors. */
  readonly hostsSetting: string | undefined;
}

export interface GuardedRequest {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** The address of this machine at which the connection arrived. */
  readonly localAddress: string | undefined;
}

/** Throws HttpProblem 403 for a foreign Host or Origin. */
export function refuseForeign(request: GuardedRequest, options: GuardOptions): void {
  const host = parseAuthority(request.host, options.scheme);
  if (host === null || !isOurs(host, request.localAddress, options)) {
    throw httpProblem(
      403,
      "PERMISSION_DENIED",
      "FOREIGN_HOST",
      `the Host header ${shown(request.host)} does not name this server; use ${reachedAt(request, options)}, or add the name to ${options.hostsSetting ?? "the server's other names"}`,
    );
  }
  if (request.origin === undefined) return;
  const prefix = `${options.scheme}://`;
  const origin = request.origin.startsWith(prefix)
    ? parseAuthority(request.origin.slice(prefix.length), options.scheme)
    : null;
  if (origin === null || origin.name !== host.name || origin.port !== host.port) {
    throw httpProblem(
      403,
      "PERMISSION_DENIED",
      "FOREIGN_ORIGIN",
      `requests from web pages of ${shown(request.origin)} are refused; call from a program or the command line, without an Origin header`,
    );
  }
}

interface Authority {
  /** In lower case, without brackets. */
  readonly name: string;
  readonly port: number;
}

/** "name", "name:port", "[ipv6]:port"; null for anything else. */
function parseAuthority(text: string | undefined, scheme: GuardOptions["scheme"]): Authority | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?$/i.exec(text ?? "");
  const name = match?.[1] ?? match?.[2];
  if (name === undefined) return null;
  const port = match?.[3] === undefined ? defaultPort(scheme) : Number(match[3]);
  return { name: withoutFinalDot(name.toLowerCase()), port };
}

/** A name that `extraHosts` may have. Anything else would be found at no call, and every call by it refused. */
export const extraHost: ListItem = {
  fault(text) {
    const host = parseAuthority(text, "http");
    if (host === null)
      return "is no NAME or NAME:PORT (an address of IPv6 stands in brackets, and no http:// before it)";
    return host.port > 65_535 ? "has a port above 65535" : null;
  },
  example: "write headroom.example.org, or proxy.example.org:8443 for that port alone",
};

function isOurs(host: Authority, localAddress: string | undefined, options: GuardOptions): boolean {
  if (isExtra(host, options)) return true;
  if (host.port !== options.address.port) return false;
  if (isLoopbackHost(host.name)) return true;
  if (host.name === options.address.host.toLowerCase()) return true;
  // The very address that the connection came to, where the server listens on all of them. A name could be made to point
  // here, an address cannot.
  return localAddress !== undefined && host.name === bareAddress(localAddress);
}

/** Where nobody can call 0.0.0.0, the address of this machine that was called. */
function reachedAt({ localAddress }: GuardedRequest, { address }: GuardOptions): string {
  const isEveryAddress = address.host === "0.0.0.0" || address.host === "::";
  if (!isEveryAddress || localAddress === undefined) return formatHostPort(address);
  return formatHostPort({ host: bareAddress(localAddress), port: address.port });
}

/** An IPv4 address on a socket of both families is written as one of IPv6. */
function bareAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:/, "");
}

function isExtra(host: Authority, { extraHosts, scheme }: GuardOptions): boolean {
  return extraHosts.some((text) => {
    const extra = parseAuthority(text, scheme);
    if (extra === null || extra.name !== host.name) return false;
    return !/:\d+$/.test(text) || extra.port === host.port;
  });
}

function defaultPort(scheme: GuardOptions["scheme"]): number {
  return scheme === "http" ? 80 : 443;
}

function withoutFinalDot(name: string): string {
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

function shown(header: string | undefined): string {
  return header === undefined ? "(missing)" : JSON.stringify(header.slice(0, 128));
}
