import { wire } from "@headroom/contracts";
import { createSignal } from "@headroom/runtime";
import { startBalancer, waitFor } from "@headroom/testing";
import { promises as dns } from "node:dns";
import { describe, expect, it, vi } from "vitest";
import { createClient, type RpcServer } from "../index.ts";
import { addressOf, agentId, onTestEnd, openChannel, startServer } from "../rpc.test-helper.ts";

/** A server that says which of several it is, and one stream of which goes on when `next` rings. */
function saysThatItIs(number: number) {
  const next = createSignal();
  const told = wire.WatchCapacityResponse.fromPartial({ snapshot: true });
  return {
    next,
    capacity: {
      getAgentCapacity: () =>
        Promise.resolve(wire.GetAgentCapacityResponse.fromPartial({ agentId, cpuCoresAvailable: number })),
      watchCapacity: async function* (_: unknown, { signal }: { readonly signal: AbortSignal }) {
        yield told;
        await next.wait(signal);
        yield told;
      },
    },
  };
}

describe("a channel that connects again", () => {
  it("reaches whoever takes the new connection; what is in progress ends where it is", async () => {
    const [first, second] = [saysThatItIs(1), saysThatItIs(2)];
    const servers = await Promise.all([first, second].map(({ capacity }) => startServer({ capacity })));
    const balancer = await startBalancer(servers.map((server) => addressOf(server).port));
    onTestEnd(() => balancer.close());
    const channel = openChannel(balancer.address);
    const client = createClient(wire.CapacityServiceService, channel);
    const watched = client.watchCapacity({})[Symbol.asyncIterator]();
    await watched.next();
    const whoAnswers = async () => (await client.getAgentCapacity({ agentId })).cpuCoresAvailable;
    expect([await whoAnswers(), await whoAnswers()]).toEqual([1, 1]);
    channel.reconnect();
    expect([await whoAnswers(), await whoAnswers()]).toEqual([2, 2]);
    first.next.notify();
    expect((await watched.next()).value).toMatchObject({ snapshot: true });
    expect((await watched.next()).done).toBe(true);
  });

  /** A name of these addresses, which come in this order each time. */
  function nameOf(...addresses: readonly string[]): string {
    const found = addresses.map((address) => ({ address, family: 4 }));
    const lookup = vi.spyOn(dns, "lookup").mockImplementation(() => Promise.resolve(found) as never);
    onTestEnd(() => lookup.mockRestore());
    return "registry.test";
  }

  it("DESIGN-4: to a name of several addresses is led to another of them each time, and stays there until it is asked again", async () => {
    const first = await startServer(saysThatItIs(1));
    const { port } = addressOf(first);
    const second = await startServer(saysThatItIs(2), { listen: { grpc: `127.0.0.2:${port}` } });
    const channel = openChannel({ host: nameOf("127.0.0.1", "127.0.0.2"), port });
    const client = createClient(wire.CapacityServiceService, channel);
    const whoAnswers = async () => (await client.getAgentCapacity({ agentId })).cpuCoresAvailable;
    let before = await whoAnswers();
    for (let round = 0; round < 6; round += 1) {
      channel.reconnect();
      const now = await whoAnswers();
      expect(now).toBe(3 - before);
      expect(await whoAnswers()).toBe(now);
      before = now;
    }
    // The one that was left is better than none.
    await (before === 1 ? second : first).stop("it is away");
    channel.reconnect();
    expect(await whoAnswers()).toBe(before);
  });

  it("DESIGN-4: connections to a name of several addresses spread over them", async () => {
    const { port } = addressOf(await startServer(saysThatItIs(1)));
    await startServer(saysThatItIs(2), { listen: { grpc: `127.0.0.2:${port}` } });
    const host = nameOf("127.0.0.1", "127.0.0.2");
    const seen = new Set<number>();
    await waitFor(async () => {
      const client = createClient(wire.CapacityServiceService, openChannel({ host, port }));
      return seen.add((await client.getAgentCapacity({ agentId })).cpuCoresAvailable).size === 2;
    });
  });

  it("DESIGN-4: after a connection was lost the next one is drawn anew too, and does not lead back for ever", async () => {
    const listening = new Map<number, RpcServer>();
    const start = async (number: number, port: number): Promise<number> => {
      const server = await startServer(saysThatItIs(number), { listen: { grpc: `127.0.0.${number}:${port}` } });
      listening.set(number, server);
      return addressOf(server).port;
    };
    const port = await start(1, 0);
    await start(2, port);
    const host = nameOf("127.0.0.1", "127.0.0.2");
    const client = createClient(wire.CapacityServiceService, openChannel({ host, port }));
    const whoAnswers = async () => (await client.getAgentCapacity({ agentId })).cpuCoresAvailable;
    const before = await whoAnswers();
    await waitFor(async () => {
      await listening.get(before)?.stop("it is restarted");
      await start(before, port);
      return (await whoAnswers()) !== before;
    });
  });

  it("after it was closed stays closed", async () => {
    const channel = openChannel(addressOf(await startServer()));
    channel.close();
    channel.reconnect();
    const asked = createClient(wire.CapacityServiceService, channel).getAgentCapacity({ agentId });
    await expect(asked).rejects.toMatchObject({ reason: "CHANNEL_CLOSED" });
  });
});
