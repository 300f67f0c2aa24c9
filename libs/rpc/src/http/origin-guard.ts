/**
 * A web page that its owner's browser shows must never reach this server: neither by a form or script (its `Origin` is foreign),
 * nor by a name of its own that it lets point here (its `Host` is foreign). There are no CORS headers and no cookies.
 */
import { formatHostPort, type HostPort } from "@headroom/runtime";
import { isLoopbackHost } from "../auth/bind-address.ts";
import { httpProblem } from "./http-problem.ts";

export interface GuardOptions {
  readonly scheme: "http" | "https";
  /** Where the server listens: the host as configured, the real port. */
  readonly address: HostPort;
  readonly extraHosts: readonly string[];
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
      `the Host header ${shown(request.host)} does not name this server; use ${formatHostPort(options.address)}, or tell the server its other names`,
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

function isOurs(host: Authority, localAddress: string | undefined, options: GuardOptions): boolean {
  if (isExtra(host, options)) return true;
  if (host.port !== options.address.port) return false;
  if (isLoopbackHost(host.name)) return true;
  if (host.name === options.address.host.toLowerCase()) return true;
  // The very address that the connection came to, where the server listens on all of them. A name could be made to point
  // here, an address cannot.
  return localAddress !== undefined && host.name === localAddress.toLowerCase().replace(/^::ffff:/, "");
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
