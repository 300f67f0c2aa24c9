/** Which address of a name the next session goes to: real sockets, several of them behind one name. */
import { promises as dns } from "node:dns";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { makeTempDir, waitFor, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { credentialPath } from "../enrolment/credential-file.ts";
import { type Connections, grpcConnections } from "./open-stream.ts";

const hosts = ["127.0.0.1", "127.0.0.2"];
let dir: TempDir;
let servers: Http2Server[];
let sessions: Set<ServerHttp2Session>;
/** The hosts that were asked, in this order. */
let asked: string[];
let connections: Connections;

beforeEach(async () => {
  dir = await makeTempDir("open stream");
  servers = [];
  sessions = new Set();
  asked = [];
  let port = 0;
  for (const host of hosts) port = await listen(host, port);
  const found = hosts.map((address) => ({ address, family: 4 }));
  vi.spyOn(dns, "lookup").mockImplementation(() => Promise.resolve(found) as never);
  const address = { host: "services.test", port };
  connections = grpcConnections({
    ports: systemPorts,
    logger: silentLogger,
    registryAddr: address,
    orchestratorAddr: address,
    credentialFile: credentialPath(dir.path),
    token: null,
    tokenFile: join(dir.path, "token"),
    isOwnTokenFile: false,
    tls: null,
  });
});
afterEach(async () => {
  connections.close();
  vi.restoreAllMocks();
  for (const session of sessions) session.destroy();
  await Promise.all(servers.map((server) => new Promise((resolve) => void server.close(resolve))));
  await dir.remove();
});

/** A server that answers each call with UNAVAILABLE. */
async function listen(host: string, port: number): Promise<number> {
  const server = createServer();
  servers.push(server);
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream) => {
    asked.push(host);
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "14" }, { endStream: true });
  });
  server.listen(port, host);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function session(open: () => Promise<() => { onClose(handler: () => void): void }>): Promise<string> {
  const before = asked.length;
  const stream = (await open())();
  await new Promise<void>((resolve) => stream.onClose(() => resolve()));
  return asked[before] ?? "";
}

/** That it is another each time by chance happens once in a thousand. */
const rounds = 10;

it.skipIf(process.platform === "win32").each([
  ["heartbeat", () => connections.openHeartbeat()],
  ["work stream", () => connections.openAttach()],
] as const)("DESIGN-4: a %s that has ended goes to another address of the name, each time", async (_name, open) => {
  for (let round = 0; round < rounds; round += 1) await session(open);
  expect(asked).toHaveLength(rounds);
  for (let round = 1; round < rounds; round += 1) expect(asked[round]).not.toBe(asked[round - 1]);
  // Of those before nothing is left.
  await waitFor(() => sessions.size <= 1);
});

it.skipIf(process.platform === "win32")("DESIGN-4: so does a join that is tried again", async () => {
  const { signal } = new AbortController();
  const request = wire.EnrollAgentRequest.fromPartial({});
  for (let round = 0; round < rounds; round += 1) {
    const before = asked.length;
    await connections.enroll(request, signal).catch(() => undefined);
    // One call may be tried again over the connection that it has.
    expect(new Set(asked.slice(before)).size).toBe(1);
    if (before > 0) expect(asked[before]).not.toBe(asked[before - 1]);
  }
});
