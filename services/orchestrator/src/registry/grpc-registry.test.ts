import { wire } from "@headroom/contracts";
import { bindService, createChannel, createRpcServer, createTokenAuth, unimplemented } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { normalizeNeeds } from "@headroom/scheduling";
import { expect, it } from "vitest";
import { createGrpcRegistry } from "./grpc-registry.ts";

it("a registry that stands still does not use up the time of whoever asks for an explanation", async () => {
  const token = "0123456789abcdef0123456789abcdef";
  const absent = () => Promise.reject(unimplemented("this"));
  const server = createRpcServer({
    name: "frozen-registry",
    ports: systemPorts,
    logger: silentLogger,
    listen: { grpc: { host: "127.0.0.1", port: 0 } },
    auth: createTokenAuth({ token }),
    drainMs: 1,
    services: [
      bindService(wire.CapacityServiceService, {
        getAgentCapacity: absent,
        listAvailableCapacity: absent,
        listPoolCapacity: absent,
        async *watchCapacity() {
          yield await absent();
        },
        reserveCapacity: absent,
        renewReservations: absent,
        releaseCapacity: absent,
        explainCapacity: () => new Promise(() => undefined),
      }),
    ],
  });
  await server.start();
  if (server.address === null) throw new Error("it does not listen");
  const channel = createChannel({ address: server.address, ports: systemPorts, logger: silentLogger, token });
  try {
    const startedMs = performance.now();
    const asked = createGrpcRegistry(channel, systemPorts.timers).explain(normalizeNeeds({}), 1);
    await expect(asked).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  } finally {
    channel.close();
    await server.stop();
  }
});
