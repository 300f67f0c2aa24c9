import { once } from "node:events";
import { wire } from "@headroom/contracts";
import { manualPorts, waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { recordingLogger } from "../rpc.test-helper.ts";
import { agentId, hostOf, jsonHeaders, readAll, startHttp, withToken } from "./http.test-helper.ts";

const explain = "/api/v1/capacity:explain";
const explains = {
  capacity: { explainCapacity: () => Promise.resolve(wire.ExplainCapacityResponse.fromPartial({})) },
};

describe("bad input over a real socket", () => {
  it("a body that is no JSON object is 400", async () => {
    const { ask } = await startHttp(explains);
    const bodies = ["{", "[]", "null", '"x"', "{} {}", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])];
    for (const body of bodies) {
      const answer = await ask(explain, { method: "POST", headers: jsonHeaders, body });
      expect([String(body), answer.status]).toEqual([String(body), 400]);
      expect(answer.error()).toMatchObject({ reason: "MALFORMED_JSON" });
    }
  });

  it("an unknown field is 400, naming it and the allowed ones", async () => {
    const { post } = await startHttp(explains);
    const answer = await post(explain, { needs: { cpus: 2 }, ["__proto__x"]: 1 });
    expect(answer.status).toBe(400);
    expect(answer.error()["field_violations"]).toEqual([
      { field: "needs.cpus", description: expect.stringContaining("the fields are cpu_cores, memory_gb") },
      { field: "__proto__x", description: expect.stringContaining("the fields are needs, max_agents") },
    ]);
  });

  it("figures that are absurd, negative or no numbers are 400, naming the field", async () => {
    const { post } = await startHttp(explains);
    for (const cores of [-1, 1e300, "NaN", "Infinity", {}, "", true]) {
      const answer = await post(explain, { needs: { cpu_cores: cores } });
      expect([cores, answer.status]).toEqual([cores, 400]);
      expect(answer.error()["field_violations"]).toMatchObject([{ field: "needs.cpu_cores" }]);
    }
  });

  it("deeply nested JSON is refused, not a crash", async () => {
    const { ask } = await startHttp(explains);
    const depth = 200_000;
    const body = `{"needs":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    const answer = await ask(explain, { method: "POST", headers: jsonHeaders, body });
    expect(answer.status).toBe(400);
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("a body above the limit is 413, declared or not, and the server goes on", async () => {
    const { ask } = await startHttp(explains, { maxBodyBytes: 1_000 });
    const body = `{"needs":{"pool":"${"x".repeat(2_000_000)}"}}`;
    const declared = await ask(explain, { method: "POST", headers: jsonHeaders, body });
    expect(declared.status).toBe(413);
    expect(declared.error()).toMatchObject({ reason: "BODY_TOO_LARGE", status: "RESOURCE_EXHAUSTED" });
    const headers = { ...jsonHeaders, "transfer-encoding": "chunked" };
    expect((await ask(explain, { method: "POST", headers, body })).status).toBe(413);
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("garbage on the port is answered or dropped, pipelined garbage too", async () => {
    const { ask, connect, address } = await startHttp();
    for (const garbage of [
      "\x00\x01\x02\x03\r\n\r\n",
      "GET\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "\x16\x03\x01\x02\x00",
    ]) {
      const socket = await connect();
      const all = readAll(socket);
      socket.end(garbage, "latin1");
      expect(await all).toMatch(/^(?:HTTP\/1\.1 400 |$)/);
    }
    const socket = await connect();
    const all = readAll(socket);
    const good = `GET /healthz HTTP/1.1\r\nhost: ${hostOf(address)}\r\n\r\n`;
    socket.end(`${good}${good}garbage garbage\r\n\r\n`);
    // The garbage ends the connection, perhaps before the second answer is out.
    expect(await all).toMatch(/^HTTP\/1\.1 200 OK/);
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("two lengths, or a length and chunks, are refused: nobody smuggles a request", async () => {
    const { connect, address } = await startHttp(explains);
    const socket = await connect();
    const all = readAll(socket);
    socket.write(
      `POST ${explain} HTTP/1.1\r\nhost: ${hostOf(address)}\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    );
    expect(await all).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("a header that is too long is 431", async () => {
    const { connect, address } = await startHttp();
    const socket = await connect();
    const all = readAll(socket);
    socket.write(`GET /healthz HTTP/1.1\r\nhost: ${hostOf(address)}\r\nx: ${"x".repeat(40_000)}\r\n\r\n`);
    expect(await all).toMatch(/^HTTP\/1\.1 431 /);
  });

  it("an upgrade and a CONNECT are dropped", async () => {
    const { connect, address, ask } = await startHttp();
    for (const head of [
      `GET / HTTP/1.1\r\nhost: ${hostOf(address)}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`,
      "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n",
    ]) {
      const socket = await connect();
      const all = readAll(socket);
      socket.write(head);
      expect(await all).not.toContain("200");
    }
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("a caller that leaves in mid-body harms nobody", async () => {
    const { connect, address, ask } = await startHttp(explains);
    const socket = await connect();
    const authorization = jsonHeaders.authorization;
    socket.write(
      `POST ${explain} HTTP/1.1\r\nhost: ${hostOf(address)}\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
    );
    socket.destroy();
    await once(socket, "close");
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("a caller that never ends its header, or says nothing at all, is cut off", async () => {
    const { connect, ask } = await startHttp({}, { headersTimeoutMs: 200 });
    const slow = await connect();
    slow.write("GET /healthz HTTP/1.1\r\nx-slow: ");
    const silent = await connect();
    expect(await readAll(slow)).toMatch(/^HTTP\/1\.1 408 /);
    expect(await readAll(silent)).toMatch(/^(?:HTTP\/1\.1 408 |$)/);
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("an answer that nobody reads ends with its connection; a stream without news does not", async () => {
    const watchCapacity = async function* () {
      yield wire.WatchCapacityResponse.fromPartial({});
      await new Promise(() => undefined);
    };
    const ports = manualPorts();
    const { logger, records } = recordingLogger();
    const { connect, address, open } = await startHttp({ capacity: { watchCapacity } }, { ports, logger });
    const stream = await open("/api/v1/capacity:watch");
    const unread = await connect();
    unread.on("error", () => undefined);
    // More than the system takes.
    unread.write(`GET /openapi.json HTTP/1.1\r\nhost: ${hostOf(address)}\r\n\r\n`.repeat(200));
    await once(unread, "data");
    unread.pause();
    for (let n = 0; n < 6; n += 1) await ports.advance(15_000);
    const told = (): unknown[] => records().filter(({ ended }) => ended !== undefined);
    await waitFor(() => told().length > 0, { timeoutMs: 4_000, describe: () => "a line in the log" });
    expect(told()).toMatchObject([{ ended: { "answer not read": 1 } }]);
    expect(stream.closed).toBe(false);
  });

  it("callers without a credential whose answers do not end leave room for others", async () => {
    let asked = 0;
    const getAgentCapacity = (): Promise<never> => {
      asked += 1;
      return new Promise(() => undefined);
    };
    const { connect, address, ask } = await startHttp({ capacity: { getAgentCapacity } }, { maxConnections: 8 });
    const get = `GET /api/v1/agents/${agentId}/capacity HTTP/1.1\r\nhost: ${hostOf(address)}\r\n`;
    const known = await connect();
    known.write(`${get}authorization: ${withToken.authorization}\r\n\r\n`);
    for (let n = 0; n < 20; n += 1) {
      const waits = await connect();
      // Those before it are ended.
      waits.on("error", () => undefined).write(`${get}\r\n`);
      await waitFor(() => asked >= Math.min(n + 1, 8) || waits.destroyed, {
        timeoutMs: 1_000,
        describe: () => "the call",
      });
    }
    expect((await ask("/healthz")).status).toBe(200);
    expect(known.closed).toBe(false);
  });

  it("more connections than allowed: those that say nothing make room for those that ask", async () => {
    const { connect, ask } = await startHttp({}, { maxConnections: 4 });
    const silent = await connect();
    const cut = readAll(silent);
    for (let n = 0; n < 20; n += 1) await connect();
    expect(await cut).toBe("");
    expect((await ask("/healthz")).status).toBe(200);
  });
});
