import { connect, createServer, type Server } from "node:net";
import { Client, credentials, status } from "@grpc/grpc-js";
import { wire } from "@headroom/contracts";
import { formatHostPort } from "@headroom/runtime";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { createClient, PortInUseError } from "../index.ts";
import { addressOf, agentId, makeServer, onTestEnd, openChannel, startPair, startServer } from "../rpc.test-helper.ts";

function listenOnFreePort(): Promise<{ server: Server; port: number }> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve({ server, port: typeof address === "object" && address !== null ? address.port : 0 });
    });
  });
}

/** Sends bytes to a port and waits until the other side has closed, or has nothing more to say. */
function sendRaw(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(bytes));
    socket.resume();
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
}

const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

describe("the life of a server", () => {
  it("stops before it started, twice, starts again, and on the way takes no harm", async () => {
    const server = makeServer();
    await server.stop();
    await Promise.all([server.start(), server.start()]);
    const first = addressOf(server);
    expect(first.port).toBeGreaterThan(0);
    await Promise.all([server.stop(), server.stop()]);
    expect(server.address).toBeNull();
    await server.stop();
    await server.start();
    const capacity = createClient(wire.CapacityServiceService, openChannel(addressOf(server)));
    await capacity.getAgentCapacity({ agentId });
    await server.stop();
    expect(server.state()).toBe("stopped");
  });

  it("is stopped while it starts", async () => {
    const server = makeServer();
    const started = server.start().catch(() => undefined);
    await server.stop();
    await started;
    expect(server.address).toBeNull();
  });

  it("survives any order of starts and stops, and in the end is stopped", async () => {
    const orders = fc.array(fc.constantFrom("start", "stop", "wait"), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(orders, async (order) => {
        const server = makeServer({}, { drainMs: 100 });
        const pending: Promise<unknown>[] = [];
        for (const step of order) {
          if (step === "start") pending.push(server.start().catch(() => undefined));
          else if (step === "stop") pending.push(server.stop());
          else await pending.at(-1);
        }
        await server.stop();
        await Promise.all(pending);
        expect(server.address).toBeNull();
        expect(server.state()).toBe("stopped");
      }),
      { numRuns: 30 },
    );
  });

  it("leaves no handle open", async () => {
    const before = process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
    const { server, capacity, channel } = await startPair();
    await capacity.getAgentCapacity({ agentId });
    channel.close();
    await server.stop();
    await vi.waitFor(
      () =>
        expect(process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length).toBeLessThanOrEqual(
          before,
        ),
      10_000,
    );
  });

  it("a taken port is a PortInUseError that names the address and the way out", async () => {
    const { server: other, port } = await listenOnFreePort();
    onTestEnd(() => other.close());
    const server = makeServer(
      {},
      { listen: { grpc: `127.0.0.1:${port}`, setting: "HEADROOM_REGISTRY_GRPC_ADDR or --grpc-addr" } },
    );
    const error: unknown = await server.start().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PortInUseError);
    expect(String(error)).toContain(`127.0.0.1:${port}`);
    expect(String(error)).toContain("HEADROOM_REGISTRY_GRPC_ADDR or --grpc-addr");
    await new Promise((resolve) => other.close(resolve));
    await server.start();
  });

  it("an address that is none is refused at once", () => {
    expect(() => makeServer({}, { listen: { grpc: "nonsense" } })).toThrow("127.0.0.1:7401");
  });

  it("garbage on the port, half a frame and a connection that says nothing harm nobody", async () => {
    const { server, capacity } = await startPair();
    const { port } = addressOf(server);
    const silent = connect(port, "127.0.0.1");
    silent.on("error", () => undefined);
    onTestEnd(() => silent.destroy());
    await Promise.all([
      sendRaw(port, Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")),
      sendRaw(port, Buffer.from([0, 255, 254, 1, 2, 3])),
      sendRaw(port, http2Preface),
      sendRaw(port, Buffer.concat([http2Preface, Buffer.from([0, 0, 4, 99, 255, 255, 255, 255, 255, 1, 2])])),
      sendRaw(port, Buffer.concat([http2Preface, Buffer.alloc(200_000, 7)])),
    ]);
    await capacity.getAgentCapacity({ agentId });
  });

  it("bytes that are no protobuf are INVALID_ARGUMENT, an unknown method is UNIMPLEMENTED", async () => {
    const { server } = await startPair();
    const client = new Client(formatHostPort(addressOf(server)), credentials.createInsecure());
    onTestEnd(() => client.close());
    const send = (path: string): Promise<unknown> =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          path,
          (bytes: Buffer) => bytes,
          (bytes) => bytes,
          Buffer.from([0x0a, 0xff, 0xff]),
          (error) => resolve(error?.code),
        );
      });
    expect(await send("/headroom.registry.v1.CapacityService/GetAgentCapacity")).toBe(status.INVALID_ARGUMENT);
    expect(await send("/headroom.registry.v1.CapacityService/WatchCapacity")).toBe(status.INVALID_ARGUMENT);
    expect(await send("/headroom.registry.v1.CapacityService/NoSuchMethod")).toBe(status.UNIMPLEMENTED);
  });

  it("a stop tells the services first, while their streams are up, and waits for calls in progress", async () => {
    const events: string[] = [];
    let finish: () => void = () => undefined;
    const { server, capacity, agent } = await startPair({
      capacity: {
        getAgentCapacity: async () => {
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
          events.push("call finished");
          return wire.GetAgentCapacityResponse.fromPartial({});
        },
      },
      agent: {
        heartbeat: (stream) => {
          stream.onMessage(() => undefined);
          server.onStopping(() => {
            events.push("told");
            stream.send(wire.HeartbeatResponse.fromPartial({ message: { $case: "reconnect", value: {} } }));
            stream.end();
          });
          stream.send(wire.HeartbeatResponse.fromPartial({ message: { $case: "welcome", value: {} } }));
        },
      },
    });
    const call = capacity.getAgentCapacity({ agentId });
    const stream = agent.heartbeat();
    const kinds: unknown[] = [];
    const closed = new Promise((resolve) => stream.onClose(resolve));
    stream.onMessage((message) => void kinds.push(message.message?.$case));
    await vi.waitFor(() => expect(kinds).toEqual(["welcome"]), 10_000);
    const stopped = server.stop().then(() => events.push("stopped"));
    expect(await closed).toBeNull();
    expect(kinds).toEqual(["welcome", "reconnect"]);
    finish();
    await call;
    await stopped;
    expect(events).toEqual(["told", "call finished", "stopped"]);
  });

  it("a stop does not wait longer than the drain time, and says UNAVAILABLE to whoever it cuts off", async () => {
    let arrived = 0;
    const hang = (): Promise<never> => {
      arrived += 1;
      return new Promise(() => undefined);
    };
    const { server, capacity, agent } = await startPair(
      {
        capacity: { getAgentCapacity: hang },
        agent: { heartbeat: (stream) => stream.onMessage(() => void (arrived += 1)) },
      },
      { drainMs: 200 },
    );
    server.onStopping(() => Promise.reject(new Error("a listener that fails")));
    server.onStopping(() => new Promise(() => undefined));
    const call = capacity.getAgentCapacity({ agentId }).catch((error: unknown) => error);
    const stream = agent.heartbeat();
    const closed = new Promise((resolve) => stream.onClose(resolve));
    stream.send(wire.HeartbeatRequest.fromPartial({ message: { $case: "beat", value: { seq: 1 } } }));
    await vi.waitFor(() => expect(arrived).toBe(2), 10_000);
    await server.stop();
    expect(await closed).toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_STOPPING" });
    expect(await call).toMatchObject({ code: "UNAVAILABLE" });
  });

  it("its method table tells what the contract says of each method", async () => {
    const server = await startServer();
    expect(server.methods.get("headroom.registry.v1.CapacityService/GetAgentCapacity")).toMatchObject({
      kind: "unary",
      access: "open",
      idempotency: "no_side_effects",
      requestType: "headroom.registry.v1.GetAgentCapacityRequest",
    });
    expect(server.methods.get("headroom.registry.v1.AgentService/Heartbeat")).toMatchObject({
      kind: "duplex",
      access: "agent",
    });
  });
});
