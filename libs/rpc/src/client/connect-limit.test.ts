import { connect, createServer, type Socket } from "node:net";
import { wire } from "@headroom/contracts";
import { waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { createClient } from "../index.ts";
import { addressOf, agentId, certificates, onTestEnd, openChannel, startServer } from "../rpc.test-helper.ts";

const keepalive = { everyMs: 300, answerWithinMs: 200 };

/** A way to the server on which the first connections lead nowhere, and nobody is told; answers how many were made. */
async function wayWithHoles(to: { readonly port: number }, holes: number) {
  const sockets: Socket[] = [];
  let made = 0;
  const way = createServer((near) => {
    made += 1;
    sockets.push(near.on("error", () => undefined));
    if (made <= holes) return void near.resume();
    const far = connect(to.port, "127.0.0.1").on("error", () => undefined);
    sockets.push(far);
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => void way.listen(0, "127.0.0.1", resolve));
  onTestEnd(() => {
    for (const socket of sockets) socket.destroy();
    way.close();
  });
  const bound = way.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 1;
  return { host: "127.0.0.1", port, made: () => made, sockets };
}

describe("an attempt to connect that nobody answers", () => {
  it("is given up and made again: calls get through that wait for it, and streams without a deadline", async () => {
    const server = await startServer({
      capacity: {
        watchCapacity: async function* () {
          yield await Promise.resolve(wire.WatchCapacityResponse.fromPartial({ snapshot: true }));
        },
      },
    });
    const way = await wayWithHoles(addressOf(server), 1);
    const client = createClient(wire.CapacityServiceService, openChannel(way, { keepalive }));
    const watched = client.watchCapacity({})[Symbol.asyncIterator]().next();
    expect(await client.getAgentCapacity({ agentId }, { deadlineMs: 10_000 })).toMatchObject({ agentId });
    expect((await watched).value).toMatchObject({ snapshot: true });
    expect(way.made()).toBe(2);
    // What was given up is closed, and not only forgotten.
    await waitFor(() => way.sockets[0]?.closed === true);
  });

  it("is given up in the handshake of TLS too", async () => {
    const files = certificates();
    const server = await startServer({}, { tls: { certFile: files.serverCertFile, keyFile: files.serverKeyFile } });
    const way = await wayWithHoles(addressOf(server), 1);
    const client = createClient(
      wire.CapacityServiceService,
      openChannel(way, { keepalive, tls: { caFile: files.caFile } }),
    );
    expect(await client.getAgentCapacity({ agentId }, { deadlineMs: 20_000 })).toMatchObject({ agentId });
    expect(way.made()).toBe(2);
    await waitFor(() => way.sockets[0]?.closed === true);
  });
});
