import { createServer, type AddressInfo } from "node:net";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { makeTempDir, waitFor, writeCertificates } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { runAgent } from "./main.ts";

/** A port on which nothing listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // It listens on a port, and not on a pipe.
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("the program", () => {
  it("says that it runs, and then that nothing answers where its registry should be", async () => {
    const dir = await makeTempDir("agent-main");
    const stop = new AbortController();
    const said: string[] = [];
    const registry = `127.0.0.1:${await deadPort()}`;
    const ended = runAgent({
      env: { ...process.env, HEADROOM_DATA_DIR: join(dir.path, "data") },
      flags: { "registry-addr": registry, "orchestrator-addr": registry },
      onReady: () => said.push("runs"),
      onConnection: (line) => said.push(line),
      until: stop.signal,
    });
    await waitFor(() => said.length === 2);
    stop.abort(new Error("the test is over"));
    expect(await ended).toBe(0);
    expect(said).toEqual([
      "runs",
      `not connected to the registry at ${registry} yet: nothing answers there (connect ECONNREFUSED ${registry}); the agent keeps trying`,
    ]);
    await dir.remove();
  });

  it("DESIGN-6: says of a registry whose certificate it does not accept why, and what to do", async () => {
    const dir = await makeTempDir("agent-main-tls");
    const [theirs, ours] = await Promise.all(
      ["theirs", "ours"].map(async (name) => {
        const folder = join(dir.path, name);
        await mkdir(folder);
        return writeCertificates(folder);
      }),
    );
    if (theirs === undefined || ours === undefined) throw new Error("no certificates");
    const [cert, key] = await Promise.all([readFile(theirs.serverCertFile), readFile(theirs.serverKeyFile)]);
    const server = createTlsServer({ cert, key, ALPNProtocols: ["h2"] });
    server.on("tlsClientError", () => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const registry = `127.0.0.1:${port}`;
    const stop = new AbortController();
    const said: string[] = [];
    const ended = runAgent({
      env: { ...process.env, HEADROOM_DATA_DIR: join(dir.path, "data"), HEADROOM_TLS_CA_FILE: ours.caFile },
      flags: { "registry-addr": registry, "orchestrator-addr": registry },
      onReady: () => undefined,
      onConnection: (line) => said.push(line),
      until: stop.signal,
    });
    await waitFor(() => said.length === 1);
    stop.abort(new Error("the test is over"));
    expect(await ended).toBe(0);
    expect(said[0]).toMatch(
      /yet: the certificate of 127.* is not signed by the CA in .*; name the CA .* --tls-ca-file or HEADROOM_TLS_CA_FILE$/,
    );
    await new Promise((resolve) => server.close(resolve));
    await dir.remove();
  });
});
