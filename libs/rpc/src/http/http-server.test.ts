import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request as tlsRequest } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { createDeferred, createMetrics } from "@headroom/runtime";
import { writeCertificates } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { InsecureBindError } from "../auth/bind-address.ts";
import { TlsFileError } from "../auth/tls.ts";
import { PortInUseError } from "../server/port-in-use.ts";
import { agentId, makeHttpServer, onTestEnd, startHttp, withToken } from "./http.test-helper.ts";
import type { Readiness } from "./http-server-options.ts";

describe("the pages of every process", () => {
  it("/ names them", async () => {
    const { ask } = await startHttp({}, { metrics: createMetrics({ processMetrics: false }), version: "1.2.3" });
    expect((await ask("/")).json()).toMatchObject({
      service: "headroom registry",
      version: "1.2.3",
      openapi: "/openapi.json",
      metrics: "/metrics",
      health: "/healthz",
      ready: "/readyz",
      rest: expect.arrayContaining(["GET /api/v1/agents/available-capacity", "POST /api/v1/plans"]),
    });
    expect((await ask("/healthz")).json()).toEqual({ status: "ok" });
    expect((await ask("/healthz?verbose=1")).status).toBe(200);
    const put = await ask("/healthz", { method: "DELETE", headers: withToken });
    expect([put.status, put.headers["allow"]]).toEqual([405, "GET, HEAD"]);
  });

  it("/metrics is what Prometheus scrapes", async () => {
    const metrics = createMetrics({ processMetrics: false });
    metrics.counter("agents_total", "Agents.").inc(3);
    const { ask } = await startHttp({}, { metrics });
    const answer = await ask("/metrics");
    expect(answer.headers["content-type"]).toContain("text/plain");
    expect(answer.text).toContain("agents_total 3");
    const { ask: askWithout } = await startHttp();
    expect((await askWithout("/metrics")).status).toBe(404);
  });

  it("/readyz says why not", async () => {
    let readiness: Readiness = { ready: false, why: "waiting for the database" };
    const serving = new Map([
      ["", true],
      ["headroom.registry.v1.CapacityService", false],
    ]);
    const { ask } = await startHttp(
      {},
      {
        readiness: () => readiness,
        health: { set: () => undefined, get: (service) => serving.get(service), list: () => serving },
      },
    );
    const waiting = await ask("/readyz");
    expect(waiting.status).toBe(503);
    expect(waiting.json()).toEqual({ status: "not_ready", why: "waiting for the database" });
    readiness = { ready: true };
    expect((await ask("/readyz")).json()).toEqual({
      status: "not_ready",
      why: "not serving yet: headroom.registry.v1.CapacityService",
    });
    serving.set("headroom.registry.v1.CapacityService", true);
    expect((await ask("/readyz")).json()).toEqual({ status: "ready" });
  });
});

describe("the life of an HTTP server", () => {
  it("stop before start, start twice, stop twice, start again", async () => {
    const server = makeHttpServer();
    await server.stop();
    expect(server.address).toBeNull();
    await Promise.all([server.start(), server.start()]);
    expect(server.address?.port).toBeGreaterThan(0);
    await Promise.all([server.stop(), server.stop()]);
    expect(server.address).toBeNull();
    await server.start();
    expect(server.state()).toBe("running");
  });

  it("a taken port is named, with the way out", async () => {
    const blocker = createServer().listen(0, "127.0.0.1");
    await once(blocker, "listening");
    onTestEnd(() => blocker.close());
    const bound = blocker.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const server = makeHttpServer(
      {},
      {
        listen: { http: { host: "127.0.0.1", port }, setting: "HEADROOM_REGISTRY_HTTP_ADDR" },
      },
    );
    const error: unknown = await server.start().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PortInUseError);
    expect(String(error)).toContain(`127.0.0.1:${port}`);
    expect(String(error)).toContain("HEADROOM_REGISTRY_HTTP_ADDR");
  });

  it("an address that other machines reach needs TLS or an explicit word", async () => {
    await expect(makeHttpServer({}, { listen: { http: "0.0.0.0:0" } }).start()).rejects.toThrow(InsecureBindError);
    const open = makeHttpServer({}, { listen: { http: "0.0.0.0:0" }, allowPlaintext: true });
    await open.start();
    // The address that the connection came to is a name of the server.
    const response = await fetch(`http://127.0.0.1:${open.address?.port ?? 0}/healthz`);
    expect(response.status).toBe(200);
  });

  it("an answer in progress is given before the stop ends, and no more are taken", async () => {
    const arrived = createDeferred<undefined>();
    const release = createDeferred<undefined>();
    const { ask, server } = await startHttp({
      capacity: {
        getAgentCapacity: async () => {
          arrived.resolve(undefined);
          await release.promise;
          return wire.GetAgentCapacityResponse.fromPartial({ agentId });
        },
      },
    });
    const answer = ask(`/api/v1/agents/${agentId}/capacity`);
    await arrived.promise;
    const stopped = server.stop();
    await expect(ask("/healthz")).rejects.toThrow();
    release.resolve(undefined);
    expect((await answer).status).toBe(200);
    await stopped;
  });

  it("a stop cuts what does not end in time", async () => {
    const arrived = createDeferred<undefined>();
    const { ask, server } = await startHttp(
      {
        capacity: {
          getAgentCapacity: async (_request, { signal }) => {
            arrived.resolve(undefined);
            await once(signal, "abort");
            return wire.GetAgentCapacityResponse.fromPartial({});
          },
        },
      },
      { drainMs: 20 },
    );
    const answer = ask(`/api/v1/agents/${agentId}/capacity`).catch((error: unknown) => error);
    await arrived.promise;
    await server.stop();
    expect(await answer).toBeInstanceOf(Error);
  });

  it("TLS serves those who show a certificate of the CA, and no others", async () => {
    const folder = mkdtempSync(join(tmpdir(), "headroom-http-tls-"));
    onTestEnd(() => rmSync(folder, { recursive: true }));
    const files = writeCertificates(folder);
    const server = makeHttpServer(
      {},
      {
        tls: { certFile: files.serverCertFile, keyFile: files.serverKeyFile, clientCaFile: files.caFile },
      },
    );
    await server.start();
    const ask = async (client: object): Promise<number | undefined> => {
      const ca = readFileSync(files.caFile);
      const address = { host: "127.0.0.1", port: server.address?.port, servername: "localhost" };
      const request = tlsRequest({ ...address, path: "/healthz", ca, agent: false, ...client }).end();
      const [response] = (await once(request, "response")) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    const own = { cert: readFileSync(files.clientCertFile), key: readFileSync(files.clientKeyFile) };
    expect(await ask(own)).toBe(200);
    await expect(ask({})).rejects.toThrow();
    const plain = fetch(`http://127.0.0.1:${server.address?.port ?? 0}/healthz`);
    await expect(plain).rejects.toThrow();
    expect(await ask(own)).toBe(200);
  });

  it("TLS files that are missing are named", async () => {
    const server = makeHttpServer({}, { tls: { certFile: "/nowhere/cert.pem", keyFile: "/nowhere/key.pem" } });
    await expect(server.start()).rejects.toThrow(TlsFileError);
    await expect(server.start()).rejects.toThrow("/nowhere/cert.pem");
  });
});
