import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { formatHostPort, systemPorts } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import type { RpcServer } from "../index.ts";
import { addressOf, onTestEnd, startServer, token } from "../rpc.test-helper.ts";

const reserve = "/headroom.registry.v1.CapacityService/ReserveCapacity";
const read = "/headroom.registry.v1.CapacityService/GetAgentCapacity";
const watch = "/headroom.registry.v1.CapacityService/WatchCapacity";
const permissionDenied = "7";
const resourceExhausted = "8";
const unauthenticated = "16";

async function startRaw(ports = systemPorts): Promise<ClientHttp2Session> {
  return openRaw(await startServer({}, { ports }));
}

async function openRaw(server: RpcServer): Promise<ClientHttp2Session> {
  const session = connect(`http://${formatHostPort(addressOf(server))}`);
  session.on("error", () => undefined);
  onTestEnd(() => session.destroy());
  await once(session, "connect");
  return session;
}

/** A call whose message is announced as 1 MiB and never comes. */
function begin(
  session: ClientHttp2Session,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.on("error", () => undefined);
  stream.write(Buffer.from([0, 0, 0x10, 0, 0, 1, 2, 3]));
  return stream;
}

/** A stream that is asked for whole, and has no end. */
function watchHealth(session: ClientHttp2Session): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Watch",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => undefined);
  stream.end(Buffer.alloc(5));
  return stream;
}

/** The answer's headers; no answer comes by itself, for the message is never complete. */
const answerTo = (stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> =>
  new Promise((resolve) => stream.once("response", resolve));

describe("who may not call is told before the request is read", () => {
  it.each([
    ["no token", reserve, {}, unauthenticated],
    ["a wrong token", reserve, { authorization: "Bearer wrong-token-0123456789" }, unauthenticated],
    ["a wrong token where none is needed", read, { authorization: "Bearer wrong-token-0123456789" }, unauthenticated],
    ["a wrong token, for a stream of answers", watch, { authorization: "Basic eDp5" }, unauthenticated],
  ])("%s", async (_, path, headers, code) => {
    const session = await startRaw();
    const answer = await answerTo(begin(session, path, headers));
    expect(answer["grpc-status"], String(answer["grpc-message"])).toBe(code);
    expect(answer["grpc-status-details-bin"]).toBeDefined();
    expect(code).not.toBe(permissionDenied);
  });

  it("of those who need no credential, only so many may have requests on their way", async () => {
    const session = await startRaw();
    const begun = Array.from({ length: 32 }, () => begin(session, read));
    const answer = await answerTo(begin(session, read));
    expect(answer["grpc-status"]).toBe(resourceExhausted);
    expect(answer["grpc-message"]).toContain("show%20the%20token");
    // One that shows the token is read, and so is the next when one of the others is gone.
    const known = begin(session, read, { authorization: `Bearer ${token}` });
    begun[0]!.close();
    const next = begin(session, read);
    const outcome = await Promise.race([answerTo(known), answerTo(next), quiet(session)]);
    expect(outcome).toBe("nothing was answered");
  });
});

describe("a crowd of callers without a credential", () => {
  it("whose requests never come makes room: the connection with most of them is ended", async () => {
    const server = await startServer();
    const [crowd, other, newcomer] = [await openRaw(server), await openRaw(server), await openRaw(server)];
    const kept = begin(other, read);
    await quiet(other);
    for (let n = 0; n < 31; n += 1) begin(crowd, read);
    await quiet(crowd);
    const ended = once(crowd, "close");
    begin(newcomer, read);
    await ended;
    expect([kept.closed, newcomer.closed]).toEqual([false, false]);
  });

  it("whose calls never end makes room for others, and gets no more itself", async () => {
    const server = await startServer();
    const [crowd, probe] = [await openRaw(server), await openRaw(server)];
    const watched: ClientHttp2Stream[] = [];
    while (watched.length < 512) {
      const some = Array.from({ length: 32 }, () => watchHealth(crowd));
      const answers = await Promise.all(some.map(answerTo));
      expect(answers.filter((answer) => answer["grpc-status"] !== undefined)).toEqual([]);
      watched.push(...some);
    }
    expect((await answerTo(watchHealth(crowd)))["grpc-status"]).toBe(resourceExhausted);
    // A call that has ended leaves its place.
    watched[0]!.close();
    await quiet(crowd);
    expect((await answerTo(watchHealth(crowd)))["grpc-status"]).toBeUndefined();
    const ended = once(crowd, "close");
    expect((await answerTo(watchHealth(probe)))["grpc-status"]).toBeUndefined();
    await ended;
  });
});

/** Resolves when the server has taken all that was sent before: it answers pings in order. */
function quiet(session: ClientHttp2Session): Promise<string> {
  return new Promise((resolve, reject) => {
    session.ping((first) => {
      if (first !== null) return reject(first);
      // The second follows whatever the first made the server do.
      session.ping((second) => (second === null ? resolve("nothing was answered") : reject(second)));
    });
  });
}
