import { wire } from "@headroom/contracts";
import { createSignal } from "@headroom/runtime";
import { startBalancer } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { createClient } from "../index.ts";
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

  it("after it was closed stays closed", async () => {
    const channel = openChannel(addressOf(await startServer()));
    channel.close();
    channel.reconnect();
    const asked = createClient(wire.CapacityServiceService, channel).getAgentCapacity({ agentId });
    await expect(asked).rejects.toMatchObject({ reason: "CHANNEL_CLOSED" });
  });
});
