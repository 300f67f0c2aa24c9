import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { agentId, hostOf, jsonHeaders, readAll, startHttp, token, withToken } from "./http.test-helper.ts";

const explains = {
  capacity: { explainCapacity: () => Promise.resolve(wire.ExplainCapacityResponse.fromPartial({})) },
};
const explain = "/api/v1/capacity:explain";

describe("what a web page in the owner's browser must not do", () => {
  it("a foreign Host is refused", async () => {
    const { ask, address } = await startHttp();
    for (const host of [
      "evil.example",
      `evil.example:${address.port}`,
      "127.0.0.1:1",
      "127.0.0.1",
      `127.0.0.1:${address.port}@evil.example`,
      `localhost.evil.example:${address.port}`,
    ]) {
      const answer = await ask("/healthz", { headers: { host } });
      expect([host, answer.status]).toEqual([host, 403]);
      expect(answer.error()).toMatchObject({ reason: "FOREIGN_HOST", status: "PERMISSION_DENIED" });
    }
  });

  it("the refusal says at which address it may be called, and what its other names are set with", async () => {
    const hostsSetting = "HEADROOM_REGISTRY_HTTP_HOSTS or --http-hosts";
    const listen = { http: "0.0.0.0:0", hostsSetting };
    const { ask, address } = await startHttp({}, { listen, allowPlaintext: true });
    const message = String((await ask("/healthz", { headers: { host: "registry.lan" } })).error()["message"]);
    expect(message).toContain(`use 127.0.0.1:${address.port}, or add the name to ${hostsSetting}`);
  });

  it("its own names are accepted", async () => {
    const { ask, address } = await startHttp(
      {},
      {
        listen: { http: "127.0.0.1:0", extraHosts: ["registry.lan", "proxy.lan:8443"] },
      },
    );
    const { port } = address;
    for (const host of [
      hostOf(address),
      `localhost:${port}`,
      `LOCALHOST:${port}`,
      `localhost.:${port}`,
      `[::1]:${port}`,
      "registry.lan",
      "registry.lan:1",
      "proxy.lan:8443",
    ]) {
      expect([host, (await ask("/healthz", { headers: { host } })).status]).toEqual([host, 200]);
    }
    expect((await ask("/healthz", { headers: { host: "proxy.lan:1" } })).status).toBe(403);
  });

  it("a request without any Host is refused", async () => {
    const { connect } = await startHttp();
    for (const head of [
      "HTTP/1.0\r\n",
      "HTTP/1.1\r\nconnection: close\r\n",
      "HTTP/1.1\r\nhost: \r\nconnection: close\r\n",
    ]) {
      const socket = await connect();
      const all = readAll(socket);
      socket.write(`GET /healthz ${head}\r\n`);
      expect(await all).toMatch(/^HTTP\/1\.1 403 /);
    }
  });

  it("a foreign Origin is refused, for reads too, and no CORS header is ever sent", async () => {
    const { ask, address } = await startHttp();
    for (const origin of [
      "https://evil.example",
      "null",
      `https://${hostOf(address)}`,
      "http://127.0.0.1:1",
      "file://",
    ]) {
      const answer = await ask("/healthz", { headers: { origin } });
      expect([origin, answer.status]).toEqual([origin, 403]);
      expect(answer.error()).toMatchObject({ reason: "FOREIGN_ORIGIN" });
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
    expect((await ask("/healthz", { headers: { origin: `http://${hostOf(address)}` } })).status).toBe(200);
    const preflight = await ask(explain, {
      method: "OPTIONS",
      headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(403);
    expect((await ask(explain, { method: "OPTIONS" })).status).toBe(405);
  });

  it("a form cannot write: only application/json is taken", async () => {
    const { ask } = await startHttp(explains);
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/jsonp",
    ]) {
      const answer = await ask(explain, {
        method: "POST",
        headers: { ...withToken, "content-type": type },
        body: "{}",
      });
      expect([type, answer.status]).toEqual([type, 415]);
      expect(answer.error()).toMatchObject({ reason: "UNSUPPORTED_CONTENT_TYPE" });
    }
    expect((await ask(explain, { method: "POST", headers: withToken, body: "{}" })).status).toBe(415);
    const zipped = { ...jsonHeaders, "content-encoding": "gzip" };
    expect((await ask(explain, { method: "POST", headers: zipped, body: "{}" })).status).toBe(415);
    const charset = { ...jsonHeaders, "content-type": "application/json; charset=UTF-8" };
    expect((await ask(explain, { method: "POST", headers: charset, body: '{"needs":{}}' })).status).toBe(200);
  });

  it("a write needs the token, even of a method that is open to reads; the error says where it lies", async () => {
    const { ask, post } = await startHttp(explains);
    const headers = { "content-type": "application/json" };
    const answer = await ask(explain, { method: "POST", headers, body: '{"needs":{}}' });
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toBe("Bearer");
    expect(answer.error()).toMatchObject({ reason: "TOKEN_REQUIRED", status: "UNAUTHENTICATED" });
    expect(answer.error()["message"]).toContain("/data/token");
    expect((await post(explain, { needs: {} })).status).toBe(200);
    const wrong = await post(explain, { needs: {} }, { authorization: `Bearer ${token}x` });
    expect(wrong.error()).toMatchObject({ code: 401, reason: "TOKEN_INVALID" });
    expect((await post(explain, { needs: {} }, { authorization: "Basic eDp5" })).status).toBe(401);
  });

  it("a read of what tasks do needs the token too", async () => {
    const { ask } = await startHttp({
      plan: { listPlans: () => Promise.resolve(wire.ListPlansResponse.fromPartial({})) },
    });
    const refused = await ask("/api/v1/plans");
    expect(refused.status).toBe(401);
    expect((await ask("/api/v1/plans", { headers: withToken })).status).toBe(200);
    expect((await ask(`/api/v1/plans/${agentId}:watch`)).status).toBe(401);
  });
});
