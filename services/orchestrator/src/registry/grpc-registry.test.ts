import { wire } from "@headroom/contracts";
import {
  bindService,
  createChannel,
  createRpcServer,
  createTokenAuth,
  unavailable,
  unimplemented,
} from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { normalizeNeeds } from "@headroom/scheduling";
import { startBalancer } from "@headroom/testing";
import { expect, it } from "vitest";
import { createGrpcRegistry } from "./grpc-registry.ts";

const token = "0123456789abcdef0123456789abcdef";
const absent = () => Promise.reject(unimplemented("this"));

type Capacity = Parameters<typeof bindService<typeof wire.CapacityServiceService>>[1];

/** A registry that answers what a test gives. */
async function startRegistry(given: Partial<Capacity>) {
  const server = createRpcServer({
    name: "registry",
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
        explainCapacity: absent,
        ...given,
      }),
    ],
  });
  await server.start();
  if (server.address === null) throw new Error("it does not listen");
  return { address: server.address, stop: () => server.stop() };
}

it("a registry that stands still does not use up the time of whoever asks for an explanation", async () => {
  const server = await startRegistry({ explainCapacity: () => new Promise(() => undefined) });
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

it.each(["DATABASE_UNAVAILABLE", "REGISTRY_STARTING"])(
  "a registry process that says %s is left: the next watch reaches another one behind the same address, and so does all else",
  async (reason) => {
    const attempt = { attemptId: "00000000-0000-4000-8000-00000000000a", fence: 1 };
    const outcome = wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED;
    const unfit = await startRegistry({
      async *watchCapacity() {
        yield await Promise.reject(unavailable(reason, "not now", 1_000));
      },
    });
    const fit = await startRegistry({
      async *watchCapacity() {
        yield await Promise.resolve(wire.WatchCapacityResponse.fromPartial({ snapshot: true }));
      },
      releaseCapacity: () => Promise.resolve({ results: [{ attemptId: attempt.attemptId, outcome }] }),
    });
    const balancer = await startBalancer([unfit.address.port, fit.address.port]);
    const channel = createChannel({ address: balancer.address, ports: systemPorts, logger: silentLogger, token });
    const registry = createGrpcRegistry(channel, systemPorts.timers);
    const { signal } = new AbortController();
    const watch = () => registry.watch(signal)[Symbol.asyncIterator]().next();
    try {
      await expect(watch()).rejects.toMatchObject({ reason });
      expect((await watch()).value).toMatchObject({ snapshot: true });
      expect(await registry.release([attempt], "test")).toEqual(["released"]);
    } finally {
      channel.close();
      await balancer.close();
      await unfit.stop();
      await fit.stop();
    }
  },
);

it("DESIGN-4: a registry process that refuses calls for a schema that another one has changed is left, though its watch goes on", async () => {
  const attempt = { attemptId: "00000000-0000-4000-8000-00000000000a", fence: 1 };
  const snapshot = wire.WatchCapacityResponse.fromPartial({ snapshot: true });
  const old = await startRegistry({
    async *watchCapacity() {
      yield snapshot;
      yield await new Promise<typeof snapshot>(() => undefined);
    },
    releaseCapacity: () => Promise.reject(unavailable("REGISTRY_STARTING", "changed by another version", 1_000)),
  });
  const outcome = wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED;
  const fresh = await startRegistry({
    async *watchCapacity() {
      yield await Promise.resolve(snapshot);
    },
    releaseCapacity: () => Promise.resolve({ results: [{ attemptId: attempt.attemptId, outcome }] }),
  });
  const balancer = await startBalancer([old.address.port, fresh.address.port]);
  const channel = createChannel({ address: balancer.address, ports: systemPorts, logger: silentLogger, token });
  const registry = createGrpcRegistry(channel, systemPorts.timers);
  const watch = () => registry.watch(new AbortController().signal)[Symbol.asyncIterator]();
  try {
    const watching = watch();
    expect((await watching.next()).value).toMatchObject({ snapshot: true });
    const [asked, watched] = await Promise.allSettled([registry.release([attempt], "test"), watching.next()]);
    const left = { status: "rejected", reason: { reason: "REGISTRY_STARTING" } };
    expect([asked, watched]).toMatchObject([left, left]);
    expect((await watch().next()).value).toMatchObject({ snapshot: true });
    expect(await registry.release([attempt], "test")).toEqual(["released"]);
  } finally {
    channel.close();
    await balancer.close();
    await old.stop();
    await fresh.stop();
  }
});
