import { createServer } from "node:net";
import { methodContracts, wire } from "@headroom/contracts";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { describe, expect, it } from "vitest";
import { createChannel, createClient, HeadroomError } from "../index.ts";
import { agentId, onTestEnd, openChannel, startPair } from "../rpc.test-helper.ts";
import { toClientError } from "./client-error.ts";
import { serviceConfig } from "./service-config.ts";

/** A port on which nothing listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 1;
}

describe("the client", () => {
  it("a dead server is UNAVAILABLE, names the address and says how to start it", async () => {
    const address = `127.0.0.1:${await deadPort()}`;
    const client = createClient(
      wire.CapacityServiceService,
      openChannel(address, { howToStart: 'start it with "headroom up"' }),
    );
    const error: unknown = await client.getAgentCapacity({ agentId }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(HeadroomError);
    expect(error).toMatchObject({
      code: "UNAVAILABLE",
      reason: "SERVER_UNREACHABLE",
      retryAfterMs: 1_000,
      metadata: { address },
    });
    expect(String(error)).toContain(address);
    expect(String(error)).toContain(`(connect ECONNREFUSED ${address}); start it`);
    expect(String(error)).toContain('start it with "headroom up"');
  });

  it("a server that is no gRPC server is an error too, and no hang", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestEnd(() => server.close());
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 1;
    const client = createClient(wire.CapacityServiceService, openChannel({ host: "127.0.0.1", port }));
    const refused = client.getAgentCapacity({ agentId }, { deadlineMs: 5_000 });
    await expect(refused).rejects.toBeInstanceOf(HeadroomError);
    await expect(refused).rejects.toThrow(
      /^what answers at 127\.0\.0\.1:\d+ is no gRPC server, perhaps it is the port of REST; /,
    );
  });

  it.each([
    [
      "No connection established. Last error: Error: connect ECONNREFUSED ::1:9. Resolution note: ",
      "connect ECONNREFUSED ::1:9",
    ],
    ["No connection established. Last error: connect EHOSTUNREACH 10.1.2.3:7401", "connect EHOSTUNREACH 10.1.2.3:7401"],
    ["No connection established. Last error: GOAWAY (2026-01-31T12:00:00.123Z). Resolution note: ", "GOAWAY"],
    [
      "Name resolution failed for target dns:desk-7.example.org:7401",
      "Name resolution failed for target dns:desk-7.example.org:7401",
    ],
  ])("tells the whole address of %s", (details, cause) => {
    const called = { method: "x.Y/Z", address: "desk-7:1", howToStart: "start it", tls: undefined };
    const { message } = toClientError({ code: 14, details }, called);
    expect(message).toBe(`nothing answers at desk-7:1 (${cause}); start it`);
  });

  it("closing the channel ends calls in progress; later calls are CHANNEL_CLOSED; closing twice is fine", async () => {
    const { channel, capacity, agent } = await startPair({
      capacity: { getAgentCapacity: () => new Promise(() => undefined) },
    });
    const call = capacity.getAgentCapacity({ agentId });
    const ended = expect(call).rejects.toMatchObject({ reason: "CHANNEL_CLOSED" });
    channel.close();
    channel.close();
    await ended;
    await expect(capacity.getAgentCapacity({ agentId })).rejects.toMatchObject({ reason: "CHANNEL_CLOSED" });
    const closed = await new Promise((resolve) => agent.heartbeat().onClose(resolve));
    expect(closed).toMatchObject({ reason: "CHANNEL_CLOSED" });
    await expect(
      capacity.watchCapacity(wire.WatchCapacityRequest.fromPartial({}))[Symbol.asyncIterator]().next(),
    ).rejects.toMatchObject({
      reason: "CHANNEL_CLOSED",
    });
  });

  it("a message that cannot be encoded is an error of the call", async () => {
    const { capacity } = await startPair();
    const wrong = { agentId: 7 } as unknown as wire.GetAgentCapacityRequest;
    await expect(capacity.getAgentCapacity(wrong)).rejects.toBeInstanceOf(HeadroomError);
  });

  it("an absurdly long deadline is none, and an address that is none is refused", async () => {
    const { capacity } = await startPair();
    expect((await capacity.getAgentCapacity({ agentId }, { deadlineMs: 1e15 })).agentId).toBe(agentId);
    expect(() => createChannel({ address: "nonsense", ports: systemPorts, logger: silentLogger })).toThrow("HOST:PORT");
  });

  it("R-SHAPE-5: the service config retries exactly what the contract calls safe to repeat", () => {
    const config = JSON.parse(serviceConfig()) as {
      methodConfig: { name: { service: string; method: string }[]; retryPolicy: { retryableStatusCodes: string[] } }[];
    };
    const retried = new Set(
      config.methodConfig.flatMap(({ name }) => name.map(({ service, method }) => `${service}/${method}`)),
    );
    for (const method of methodContracts().values()) {
      expect(retried.has(method.fullName)).toBe(method.idempotency !== "unknown" && method.streaming !== "duplex");
    }
    expect(retried.size).toBeGreaterThan(10);
    expect(config.methodConfig.every((each) => each.retryPolicy.retryableStatusCodes.join() === "UNAVAILABLE")).toBe(
      true,
    );
  });
});
